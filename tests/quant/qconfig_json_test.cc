// Qconfigs as JSON, globs, and the table that says which rule decided.
#include "fxq/quant/qconfig_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/quant/check_qconfig.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::net;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Everything that two qconfigs can differ in.
std::string all_of(const std::optional<QConfig>& qconfig) {
  if (!qconfig) return "none";
  std::string text = "backend=" + qconfig->backend;
  for (const auto& [name, factory] :
       {std::pair("activation", &qconfig->activation), std::pair("weight", &qconfig->weight)}) {
    text += std::string("\n") + name + ":";
    if (!*factory) continue;
    for (const auto& [key, value] : (*factory)->options().to_kwargs()) {
      text += " " + key + "=" + value.to_string();
    }
  }
  return text;
}

TEST(QConfigJsonTest, LeftOutIsTheDefault) {
  EXPECT_EQ(all_of(qconfig_dict_from_json("{}")->global), all_of(*get_default_calib_qconfig()));
  QConfigJsonOptions qat;
  qat.qat = true;
  EXPECT_EQ(all_of(qconfig_dict_from_json("{}", qat)->global), all_of(*get_default_qat_qconfig()));
  EXPECT_FALSE(qconfig_dict_from_json("{\"\": null}")->global.has_value());
}

TEST(QConfigJsonTest, AllArguments) {
  const auto dict = qconfig_dict_from_json(R"({
    // comments are allowed
    "": {"dtype": "qint16", "weight_dtype": "qint16", "backend": "bpu",
         "activation_fake_quant": "fake_quant", "weight_fake_quant": "fake_quant",
         "activation_qkwargs": {"observer": "percentile", "percentile": 99.9, "quant_max": null},
         "weight_qkwargs": {"observer": "min_max", "qscheme": "per_tensor_symmetric"}},
    "module_type": [["Linear", null]],
    "module_name": [["a", {"observer": "kl"}], ["a.*", {"activation": null}]],
    "module_qconfig": [["b", {}]]
  })");
  ASSERT_TRUE(dict.ok()) << dict.status();
  const FakeQuantizeOptions& activation = dict->global->activation->options();
  EXPECT_EQ(activation.observer, "percentile");
  EXPECT_EQ(activation.observer_kwargs.percentile, 99.9);
  EXPECT_EQ(activation.observer_kwargs.dtype, DType::kI16);
  EXPECT_EQ(dict->global->weight->options().observer, "min_max");
  EXPECT_EQ(dict->global->weight->options().observer_kwargs.dtype, DType::kI16);
  EXPECT_FALSE(dict->module_type[0].second.has_value());
  EXPECT_EQ(dict->module_name[0].second->activation->options().observer, "kl");
  EXPECT_FALSE(dict->module_name[1].second->activation.has_value());
  EXPECT_EQ(dict->module_qconfig[0].first, "b");
}

TEST(QConfigJsonTest, EverythingWrongIsListed) {
  const auto dict = qconfig_dict_from_json(R"({
    "": {"dtyp": "qint8", "activation_qkwargs": {"percentil": 3}},
    "module_names": [],
    "module_name": [["fc"], ["x", 3], ["y", {"dtype": "int8"}]]
  })");
  EXPECT_EQ(dict.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(dict.status().message());
  for (const char* part :
       {"unknown key \"dtyp\"; did you mean \"dtype\"?", "'percentil'; did you mean \"percentile\"",
        "unknown key \"module_names\"", "[\"fc\"] is no [name, qconfig]",
        "module_name[\"x\"]: needs an object or null", "module_name[\"y\"]: dtype is"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
}

TEST(QConfigJsonTest, WritingReadsBack) {
  QatQConfigOptions qat;
  qat.dtype = "qint16";
  qat.activation_qkwargs = {{"observer", "clip"}, {"xmin", -2.5}, {"averaging_constant", 0.5}};
  QConfigDict dict;
  dict.global = *get_default_calib_qconfig();
  dict.module_type = {{"Conv2d", std::nullopt}, {"Linear", *get_default_qat_qconfig(qat)}};
  dict.module_name = {{"head", *get_default_qat_out_qconfig()}};
  const std::string text = to_json(dict);
  for (bool over_qat : {false, true}) {
    QConfigJsonOptions options;
    options.qat = over_qat;
    const auto again = qconfig_dict_from_json(text, options);
    ASSERT_TRUE(again.ok()) << again.status() << text;
    EXPECT_EQ(all_of(again->global), all_of(dict.global));
    EXPECT_EQ(all_of(again->module_type[0].second), "none");
    EXPECT_EQ(all_of(again->module_type[1].second), all_of(dict.module_type[1].second));
    EXPECT_EQ(all_of(again->module_name[0].second), all_of(dict.module_name[0].second));
    EXPECT_EQ(to_json(*again), text);
  }
}

constexpr const char* kConvAndLinear = R"(
module @body.conv = conv2d(weight: f32[4,3,1,1], bias: none) {class="nn.Conv2d"}
module @body.relu = relu() {class="nn.ReLU"}
module @head.fc = linear(weight: f32[2,256], bias: none) {class="nn.Linear"}
state * = normal(7)
graph (%x: f32[2,3,8,8]) {
  %conv = conv2d @body.conv(%x) : f32[2,4,8,8] {owner="body", class="Body"}
  %relu = relu @body.relu(%conv) : f32[2,4,8,8] {owner="body", class="Body"}
  %flat = flatten(%relu, 1) : f32[2,256] {owner="head", class="Head"}
  %fc = linear @head.fc(%flat) : f32[2,2] {owner="head", class="Head"}
  return %fc
}
)";

std::vector<std::string> names(const QConfigDict::Entries& entries) {
  std::vector<std::string> result;
  for (const auto& [name, qconfig] : entries) result.push_back(name);
  return result;
}

TEST(QConfigJsonTest, GlobsAreThePathsThatFit) {
  const GraphModule gm = net(kConvAndLinear);
  QConfigDict dict;
  dict.module_name = {{"body.*", std::nullopt}, {"head", std::nullopt}, {"*.?c", std::nullopt}};
  ASSERT_TRUE(expand_globs(gm, dict).ok());
  EXPECT_THAT(names(dict.module_name), ElementsAre("body.conv", "body.relu", "head", "head.fc"));
  dict.module_name = {{"bdy*", std::nullopt}};
  EXPECT_THAT(std::string(expand_globs(gm, dict).message()),
              HasSubstr("no module fits 'bdy*'; known: body, body.conv"));
}

TEST(CheckQConfigTest, SaysWhichRuleDecided) {
  QConfigDict dict;
  dict.global = *get_default_calib_qconfig();
  dict.module_name = {{"body", *get_default_calib_qconfig("qint16", {{"observer", "kl"}})}};
  dict.module_type = {{"Linear", *get_default_qat_out_qconfig()},
                      {"Conv2d", *get_default_calib_qconfig()}};
  const auto table = check_qconfig(net(kConvAndLinear), dict);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(
      table->to_string(),
      "%relu  conv2d   body.relu  module_name \"body\"    qint16 kl, weight qint8 per channel\n"
      "%flat  flatten  head       global                qint8 MseObserver\n"
      "%fc    linear   head.fc    module_type \"Linear\"  floats out, weight qint8 per channel\n");
  dict.module_name = {{"boddy", std::nullopt}};
  EXPECT_THAT(std::string(check_qconfig(net(kConvAndLinear), dict).status().message()),
              HasSubstr("there is no module 'boddy'"));
}

}  // namespace
}  // namespace fxq

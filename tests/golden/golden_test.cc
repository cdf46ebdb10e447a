// Every case: parse, verify, print and parse again, run, transform, verify, print, run, compare.
// FXQ_BLESS=1 writes the outputs of the cases that were run into the files.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "fxq/base/file.h"
#include "fxq/graph/text.h"
#include "fxq/graph/verifier.h"
#include "fxq/passes/pipeline.h"
#include "fxq/passes/replace_pattern.h"
#include "golden_file.h"
#include "seeded_run.h"

namespace fxq {
namespace {

const std::string& folder() {
  static const auto* path = new std::string(std::string(FXQ_SOURCE_DIR) + "/tests/golden");
  return *path;
}

std::vector<GoldenFile>& files() {
  static auto* all = [] {
    auto read = read_golden_files(folder());
    if (!read.ok()) {
      std::fprintf(stderr, "%s\n", std::string(read.status().message()).c_str());
      std::exit(1);
    }
    return new std::vector<GoldenFile>(*std::move(read));
  }();
  return *all;
}

std::vector<GoldenCase*> cases() {
  std::vector<GoldenCase*> all;
  for (GoldenFile& file : files()) {
    for (GoldenCase& golden : file.cases) all.push_back(&golden);
  }
  return all;
}

bool blessing() {
  const char* value = std::getenv("FXQ_BLESS");
  return value && std::string(value) == "1";
}

class Golden : public ::testing::TestWithParam<GoldenCase*> {
 public:
  static void TearDownTestSuite() {
    if (!blessing()) return;
    for (const GoldenFile& file : files()) {
      const std::string text = golden_file_text(file);
      const auto present = read_file(file.path);
      if (present.ok() && *present == text) continue;
      const absl::Status written = write_file_atomically(file.path, text);
      EXPECT_TRUE(written.ok()) << written;
    }
  }

 protected:
  const GoldenCase& golden() const { return *GetParam(); }
  bool has(const std::string& flag) const { return golden().flags.count(flag) != 0; }
  bool transforms() const { return golden().passes != "parse"; }

  std::string print(const GraphModule& gm) const {
    PrintOptions options;
    options.annotations = has("annotations");
    return print_text(gm, options);
  }

  std::string error(const absl::Status& status) const {
    return "error: " + std::string(status.message()) + "\n";
  }

  void check(const GraphModule& gm) const {
    const absl::Status valid = verify(gm);
    ASSERT_TRUE(valid.ok()) << valid;
    PrintOptions all;
    all.annotations = true;
    const std::string text = print_text(gm, all);
    auto again = parse_text(text);
    ASSERT_TRUE(again.ok()) << again.status() << "\n" << text;
    EXPECT_EQ(print_text(*again, all), text) << "print and parse are not inverses";
  }

  c10::IValue run(const GraphModule& gm) const {
    if (has("no-run") || !transforms()) return {};
    at::NoGradGuard no_grad;
    auto inputs = seeded_inputs(gm);
    EXPECT_TRUE(inputs.ok()) << inputs.status() << "\n(or flag the case [no-run])";
    if (!inputs.ok()) return {};
    // On a copy: running in training mode moves statistics.
    auto result = gm.copy(GraphModule::Copy::kCloneAll).forward(*std::move(inputs));
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : c10::IValue();
  }

  std::string transform(GraphModule& gm, const std::string& before) const {
    if (!transforms()) return print(gm) == golden().input ? "unchanged\n" : print(gm);
    if (!golden().pattern.empty()) return replace(gm);
    PipelineOptions options;
    options.check_unchanged = true;
    auto pipeline = Pipeline::parse(golden().passes, options);
    if (!pipeline.ok()) return error(pipeline.status());
    const auto changed = pipeline->run(gm);
    if (!changed.ok()) return error(changed.status());
    if (!*changed) {
      EXPECT_EQ(print(gm), before) << "the passes say that they changed nothing";
    }
    return (*changed ? print(gm) : "unchanged\n") + notes(gm);
  }

  std::string replace(GraphModule& gm) const {
    ReplaceOptions options;
    options.match.ignore_literals = has("ignore-literals");
    const auto made = replace_pattern(gm, golden().pattern, golden().replacement, options);
    if (!made.ok()) return error(made.status());
    return (made->empty() ? "unchanged\n" : print(gm)) + notes(gm);
  }

  static std::string notes(const GraphModule& gm) {
    std::string text;
    for (const std::string& note : gm.notes) text += "note: " + note + "\n";
    return text;
  }

  std::string output() const {
    auto gm = parse_text(golden().input);
    if (!gm.ok()) return error(gm.status());
    check(*gm);
    const c10::IValue before = run(*gm);
    std::string text = transform(*gm, print(*gm));
    check(*gm);
    const c10::IValue after = run(*gm);
    if (has("new-values")) return text;
    EXPECT_EQ(difference(before, after, has("exact")), "");
    return text;
  }
};

TEST_P(Golden, Case) {
  const std::string actual = output();
  if (blessing()) {
    GetParam()->expected = actual;
    return;
  }
  EXPECT_EQ(actual, golden().expected)
      << golden().file << ":" << golden().line
      << ": if the new output is right, accept it with ./dev bless";
}

std::string case_name(const ::testing::TestParamInfo<GoldenCase*>& info) {
  const GoldenCase& golden = *info.param;
  std::string name = golden.file.substr(0, golden.file.rfind('.')) + "_" + golden.name;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Files, Golden, ::testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace fxq

// Reads ops.def into rows: each cell macro becomes one call on a row under construction.
#include "fxq/graph/ops/op_def.h"

#include <array>
#include <string>
#include <unordered_map>

namespace fxq {
namespace {

struct Row : OpDef {
  Row(OpId row_id, std::string_view row_name) {
    id = row_id;
    name = row_name;
  }
  Row& add_overload(std::string_view text) {
    overloads.push_back(text);
    return *this;
  }
  Row& add_module(std::string_view text) {
    module_types.push_back(text);
    return *this;
  }
  Row& set_schema(std::string_view overload, std::string_view text) {
    overloads.push_back(overload);
    schema = text;
    return *this;
  }
  template <typename... Names>
  Row& set_params(Names... names) {
    params = {names...};
    return *this;
  }
  Row& set(bool OpDef::*flag) {
    this->*flag = true;
    return *this;
  }
  Row& set_bits(uint8_t OpDef::*cell, uint8_t bits) {
    this->*cell = bits;
    return *this;
  }
  Row& set_text(std::string_view OpDef::*cell, std::string_view text) {
    this->*cell = text;
    return *this;
  }
  Row& set_rule(Rule row_rule) {
    rule = row_rule;
    return *this;
  }
  Row& set_weighted(std::string_view weight_name, std::string_view bias_name, int axis) {
    rule = Rule::kWeighted;
    weight = weight_name;
    bias = bias_name;
    channel_axis = axis;
    params = {weight_name, bias_name};
    return *this;
  }
};

constexpr uint8_t q8 = kQ8, q16 = kQ16;

#define _
#define ATEN(overload) .add_overload("aten::" #overload)
#define PRIM(overload) .add_overload("prim::" #overload)
#define OWN(overload, text) .set_schema("fxq::" #overload, "fxq::" #overload text)
#define MODULE(type) .add_module(#type)
#define PARAMS(...) .set_params(__VA_ARGS__)
#define COMMUTES .set(&OpDef::commutes)
#define ACTIVATION .set(&OpDef::is_activation)
#define NON_NEGATIVE .set(&OpDef::non_negative)
#define KEEPS_SIGN .set(&OpDef::keeps_sign)
#define KEEPS_RANK .set(&OpDef::keeps_rank)
#define KEEPS_ALL .set(&OpDef::keeps_all)
#define WRITTEN_BACK_BY(overload) .set_text(&OpDef::written_back_by, "aten::" #overload)
#define UNDONE_BY(overload) .set_text(&OpDef::undone_by, "aten::" #overload)
#define MOVES .set(&OpDef::moves)
#define Weighted(...) .set_weighted(__VA_ARGS__)
#define Observed() .set_rule(Rule::kObserved)
#define SharesInput() .set_rule(Rule::kSharesInput)
#define SharesAll() .set_rule(Rule::kSharesAll)
#define Derived() .set_rule(Rule::kDerived)
#define FloatOnly() .set_rule(Rule::kFloatOnly)
#define NotTensor() .set_rule(Rule::kNotTensor)
#define BERNOULLI2(bits) .set_bits(&OpDef::bernoulli2, bits)
#define BAYES(bits) .set_bits(&OpDef::bayes, bits)
#define KERNEL(family) .set_text(&OpDef::kernel, #family)
#define FLOAT_KERNEL(family) .set_text(&OpDef::float_kernel, #family)
#define ONNX(lowering) .set_text(&OpDef::onnx, #lowering)
#define OP(id, name, match, rule, march, kernel, onnx) \
  static_cast<OpDef>(Row(OpId::k##id, name) match rule march kernel onnx),

const std::vector<OpDef>& rows() {
  static const auto* table = new std::vector<OpDef>{
      OpDef{},
#include "fxq/graph/ops/ops.def"
  };
  return *table;
}

using Index = std::unordered_map<std::string_view, OpId>;

const Index& overload_index() {
  static const auto* index = [] {
    auto* map = new Index;
    for (const OpDef& row : rows()) {
      for (std::string_view overload : row.overloads) map->emplace(overload, row.id);
    }
    return map;
  }();
  return *index;
}

const Index& name_index() {
  static const auto* index = [] {
    auto* map = new Index;
    for (const OpDef& row : rows()) {
      if (row.id != OpId::kNone) map->emplace(row.name, row.id);
    }
    return map;
  }();
  return *index;
}

const Index& module_index() {
  static const auto* index = [] {
    auto* map = new Index;
    for (const OpDef& row : rows()) {
      for (std::string_view type : row.module_types) map->emplace(type, row.id);
    }
    return map;
  }();
  return *index;
}

OpId find(const Index& index, std::string_view key) {
  auto it = index.find(key);
  return it == index.end() ? OpId::kNone : it->second;
}

}  // namespace

const OpDef& op_def(OpId id) { return rows()[static_cast<size_t>(id)]; }

absl::Span<const OpDef> op_table() { return absl::MakeConstSpan(rows()).subspan(1); }

OpId op_from_name(std::string_view name) { return find(name_index(), name); }

OpId op_from_overload(std::string_view overload) { return find(overload_index(), overload); }

OpId op_from_module_type(std::string_view class_name) {
  const size_t dot = class_name.rfind('.');
  const bool is_path = dot != std::string_view::npos;
  if (is_path && class_name.substr(0, 9) != "torch.nn.") return OpId::kNone;
  return find(module_index(), is_path ? class_name.substr(dot + 1) : class_name);
}

}  // namespace fxq

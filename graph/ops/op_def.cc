// Reads ops.def into rows: each cell macro becomes one call on a row under construction.
#include "fxq/graph/ops/op_def.h"

#include <algorithm>
#include <cctype>
#include <deque>
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
#define FROM(library, overload) .add_overload(#library "::" #overload)
#define PRIM(overload) .add_overload("prim::" #overload)
#define OWN(overload, text) .set_schema("fxq::" #overload, "fxq::" #overload text)
#define MODULE(type) .add_module(#type)
#define PARAMS(...) .set_params(__VA_ARGS__)
#define COMMUTES .set(&OpDef::commutes)
#define ACTIVATION .set(&OpDef::is_activation)
#define NON_NEGATIVE .set(&OpDef::non_negative)
#define KEEPS_SIGN .set(&OpDef::keeps_sign)
#define KEEPS_RANK .set(&OpDef::keeps_rank)
#define FILLS .set(&OpDef::fills)
#define KEEPS_ALL .set(&OpDef::keeps_all)
#define HOMOGENEOUS .set(&OpDef::homogeneous)
#define WRITTEN_BACK_BY(overload) .set_text(&OpDef::written_back_by, "aten::" #overload)
#define UNDONE_BY(overload) .set_text(&OpDef::undone_by, "aten::" #overload)
#define MOVES .set(&OpDef::moves)
#define CONTRACTS .set(&OpDef::contracts)
#define Weighted(...) .set_weighted(__VA_ARGS__)
#define Observed() .set_rule(Rule::kObserved)
#define SharesInput() .set_rule(Rule::kSharesInput)
#define SharesAll() .set_rule(Rule::kSharesAll)
#define Derived() .set_rule(Rule::kDerived)
#define Answers() .set_rule(Rule::kAnswers)
#define FloatOnly() .set_rule(Rule::kFloatOnly)
#define NotTensor() .set_rule(Rule::kNotTensor)
#define BERNOULLI2(bits) .set_bits(&OpDef::bernoulli2, bits)
#define BAYES(bits) .set_bits(&OpDef::bayes, bits)
#define BAYES_OUT(bits) .set_bits(&OpDef::bayes_out, bits)
#define LIMITS(family) .set_text(&OpDef::limits, #family)
#define KERNEL(family) .set_text(&OpDef::kernel, #family)
#define FLOAT_KERNEL(family) .set_text(&OpDef::float_kernel, #family)
#define ONNX(lowering) .set_text(&OpDef::onnx, #lowering)
#define OP(id, name, match, rule, march, kernel, onnx) \
  static_cast<OpDef>(Row(OpId::k##id, name) match rule march kernel onnx),

using Index = std::unordered_map<std::string_view, OpId>;

// Room for registered rows is reserved, so that rows never move.
struct Table {
  std::vector<OpDef> rows;
  Index overloads, names, modules;
  size_t built_in = 0;

  Table() {
    const std::vector<OpDef> own = {
        OpDef{},
#include "fxq/graph/ops/ops.def"
    };
    built_in = own.size();
    rows.reserve(built_in + kMostRegisteredOps);
    for (const OpDef& row : own) add(row);
  }

  void add(const OpDef& row) {
    rows.push_back(row);
    if (row.id != OpId::kNone) names.emplace(row.name, row.id);
    for (std::string_view overload : row.overloads) overloads.emplace(overload, row.id);
    for (std::string_view type : row.module_types) modules.emplace(type, row.id);
  }
};

Table& table() {
  static auto* const all = new Table;
  return *all;
}

OpId find(const Index& index, std::string_view key) {
  auto it = index.find(key);
  return it == index.end() ? OpId::kNone : it->second;
}

bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '_';
  });
}

// All that is wrong with a row, one line each.
std::vector<std::string> faults(const OpDef& row) {
  std::vector<std::string> found;
  auto quoted = [](std::string_view text) { return "'" + std::string(text) + "'"; };
  if (!is_word(row.name)) {
    found.push_back("its name is " + quoted(row.name) + "; lower case, digits and '_' are allowed");
  } else if (op_from_name(row.name) != OpId::kNone) {
    found.push_back("an op named " + quoted(row.name) + " exists");
  }
  if (row.overloads.empty()) found.push_back("it has no overload, such as \"my::op\"");
  for (std::string_view overload : row.overloads) {
    if (overload.find("::") == std::string_view::npos) {
      found.push_back("overload " + quoted(overload) + " has no namespace, such as \"my::op\"");
    } else if (const OpId taken = op_from_overload(overload); taken != OpId::kNone) {
      found.push_back("overload " + quoted(overload) + " belongs to " + quoted(op_def(taken).name));
    }
  }
  if (!row.schema.empty()) found.push_back("it has a schema text; LibTorch's is used");
  if (row.rule == Rule::kWeighted && row.weight.empty()) {
    found.push_back("it is weighted and does not say which argument is the weight");
  }
  if (table().rows.size() == table().rows.capacity()) found.push_back("the table is full");
  return found;
}

// The row with texts of its own.
OpDef owned(const OpDef& row) {
  static auto* const texts = new std::deque<std::string>;
  auto keep = [](std::string_view text) -> std::string_view { return texts->emplace_back(text); };
  OpDef copy = row;
  for (std::string_view OpDef::*cell :
       {&OpDef::name, &OpDef::weight, &OpDef::bias, &OpDef::kernel, &OpDef::float_kernel,
        &OpDef::onnx, &OpDef::written_back_by, &OpDef::undone_by, &OpDef::limits}) {
    copy.*cell = keep(row.*cell);
  }
  for (auto OpDef::*cells : {&OpDef::overloads, &OpDef::module_types, &OpDef::params}) {
    for (std::string_view& text : copy.*cells) text = keep(text);
  }
  return copy;
}

}  // namespace

const OpDef& op_def(OpId id) { return table().rows[static_cast<size_t>(id)]; }

absl::Span<const OpDef> op_table() { return absl::MakeConstSpan(table().rows).subspan(1); }

bool is_registered(OpId id) { return static_cast<size_t>(id) >= table().built_in; }

absl::StatusOr<OpId> register_op(const OpDef& row) {
  const std::vector<std::string> wrong = faults(row);
  if (!wrong.empty()) {
    std::string text = "the op '" + std::string(row.name) + "' cannot be registered:";
    for (const std::string& fault : wrong) text += "\n  " + fault;
    return absl::InvalidArgumentError(text);
  }
  OpDef copy = owned(row);
  copy.id = static_cast<OpId>(table().rows.size());
  table().add(copy);
  return copy.id;
}

OpId op_from_name(std::string_view name) { return find(table().names, name); }

OpId op_from_overload(std::string_view overload) { return find(table().overloads, overload); }

OpId op_from_module_type(std::string_view class_name) {
  const size_t dot = class_name.rfind('.');
  const bool is_path = dot != std::string_view::npos;
  if (is_path && class_name.substr(0, 9) != "torch.nn.") return OpId::kNone;
  return find(table().modules, is_path ? class_name.substr(dot + 1) : class_name);
}

}  // namespace fxq

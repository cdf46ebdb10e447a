// if c: y = x else: y = x[:1]   with x: [2,3]    y is [2,3] one way and [1,3] the other: [?,3]
#include "fxq/export/type_record.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>

#include "fxq/base/status.h"
#include "fxq/export/open_sizes.h"
#include "fxq/export/size_trials.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/opaque_module.h"
#include "fxq/quant/reference_interpreter.h"

namespace fxq {
namespace {

// Blocks beyond these are seen as the example runs them.
constexpr size_t kMostBlocks = 64;

// A way that nobody asked for may go round for ever.
constexpr int64_t kMostTripsOffTheRoad = 100;

// How many trips more than none show how a loop's values change.
constexpr int64_t kTripsToSee = 3;

// Several runs of the same values, added up.
class Sightings {
 public:
  void add(const std::string& name, const c10::IValue& value, bool data_free) {
    add_type(name, seen_type(value));
    if (!data_free || differing_.count(name) != 0) return;
    const auto [same, first] = record.values.emplace(name, c10::IValue());
    if (first) {
      same->second = value.deepcopy();
    } else if (!same_value(same->second, value)) {
      record.values.erase(same);
      differing_.insert(name);
    }
  }

  void add_type(const std::string& name, const Type& type) {
    const auto [known, is_new] = record.types.emplace(name, type);
    if (!is_new) keep_common(known->second, type);
  }

  Type type(const std::string& name) const {
    const auto known = record.types.find(name);
    return known == record.types.end() ? Type() : known->second;
  }

  // True the first time that these doubts about the node's inputs come up.
  bool are_new(const std::string& name, std::string doubts) {
    std::string& known = doubts_[name];
    if (known == doubts) return false;
    known = std::move(doubts);
    return true;
  }

  TypeRecord record;
  std::unordered_set<std::string> open_numbers;  // may be others than the runs show

 private:
  std::unordered_set<std::string> differing_;
  std::unordered_map<std::string, std::string> doubts_;
};

bool has_open_size(const Type& type) {
  if (std::any_of(type.elements.begin(), type.elements.end(), has_open_size)) return true;
  return type.dims && std::any_of(type.dims->begin(), type.dims->end(),
                                  [](const Dim& dim) { return !dim.is_known(); });
}

// The way through the blocks, by name: as the conditions say but for these.
using Route = std::map<std::string, BlockCourse>;

struct Met {
  std::string block;
  BlockKind kind;
  Route route;  // that led there
};

struct Journey {
  const ExportOptions& options;
  Sightings& seen;
  Route route;
  std::vector<Met> blocks;
};

class Recorder : public ReferenceInterpreter {
 public:
  Recorder(const GraphModule& model, std::string prefix, Journey& journey)
      : ReferenceInterpreter(model),
        prefix_(std::move(prefix)),
        journey_(journey),
        data_free_(data_free_nodes(model, journey.options)) {}

 protected:
  absl::Status on_value(const Node& node, c10::IValue& value) override {
    journey_.seen.add(prefix_ + node.name(), value, is_data_free(node));
    if (is_number(value) && is_open_number(node)) {
      journey_.seen.open_numbers.insert(prefix_ + node.name());
    }
    return absl::OkStatus();
  }

  absl::StatusOr<c10::IValue> run_node(const Node& node, std::vector<c10::IValue> args,
                                       std::vector<c10::IValue> kwargs) override {
    const auto module =
        node.is(NodeKind::kCallModule) ? graph_module().module(node.target()) : nullptr;
    const auto* block = dynamic_cast<const BlockModule*>(module.get());
    if (!block) return run_call(node, std::move(args), std::move(kwargs));
    const std::string name = prefix_ + node.name();
    if (depends_on_data(node, block->block_kind())) {
      journey_.blocks.push_back({name, block->block_kind(), journey_.route});
    }
    c10::IValue result = block->run(std::move(args), bodies_of(node, *block), course_of(name));
    journey_.seen.add_type(name, seen_type(result));
    add_results(node, *block);
    return result;
  }

 private:
  bool is_data_free(const Node& node) const { return data_free_.count(node.name()) != 0; }

  static bool is_number(const c10::IValue& value) {
    return value.isInt() || value.isDouble() || value.isBool() || value.isIntList() ||
           value.isDoubleList();
  }

  bool known_open(const Node& node) const {
    return journey_.seen.open_numbers.count(prefix_ + node.name()) != 0;
  }

  Type type(const Node& node) const { return journey_.seen.type(prefix_ + node.name()); }

  // Of a body's placeholders, whoever enters the body knows.
  bool is_open_number(const Node& node) const {
    if (node.is(NodeKind::kPlaceholder)) return prefix_.empty();
    const auto asks = asks_open_sizes(node, [this](const Node& asked) { return type(asked); });
    if (asks) return *asks;
    return std::any_of(node.inputs().begin(), node.inputs().end(), [&](const Node* input) {
      const Type::Kind kind = type(*input).kind;
      const bool number = kind != Type::Kind::kTensor && kind != Type::Kind::kTuple;
      return number ? known_open(*input) : !is_data_free(*input);
    });
  }

  absl::StatusOr<c10::IValue> run_call(const Node& node, std::vector<c10::IValue> args,
                                       std::vector<c10::IValue> kwargs) {
    const std::string doubts = doubts_about(node);
    if (doubts.empty() || !journey_.seen.are_new(prefix_ + node.name(), doubts)) {
      return ReferenceInterpreter::run_node(node, std::move(args), std::move(kwargs));
    }
    auto result = ReferenceInterpreter::run_node(node, args, kwargs);
    if (!result.ok() || is_number(*result)) return result;
    const Type type = type_after_trials(
        {node, args, kwargs, *result},
        {[this](const Node& input) { return this->type(input); },
         [this](const Node& input) { return known_open(input); }},
        [&](std::vector<c10::IValue> other, std::vector<c10::IValue> named) {
          return ReferenceInterpreter::run_node(node, std::move(other), std::move(named));
        });
    journey_.seen.add_type(prefix_ + node.name(), type);
    return result;
  }

  // What is open in its inputs, as text; empty: nothing, or nobody can try others.
  std::string doubts_about(const Node& node) const {
    std::string doubts;
    if (node.is(NodeKind::kCallMethod) || is_opaque(node)) return doubts;
    for (const Node* input : node.inputs()) {
      const Type seen = type(*input);
      if (known_open(*input)) doubts += input->name() + ";";
      if (has_open_size(seen)) doubts += input->name() + ":" + seen.to_string() + ";";
    }
    return doubts;
  }

  bool is_opaque(const Node& node) const {
    if (!node.is(NodeKind::kCallModule)) return false;
    return dynamic_cast<const OpaqueModule*>(graph_module().module(node.target()).get()) != nullptr;
  }

  // The argument's type as the runs until now have it.
  Type type_of_argument(const Argument& argument, const std::string& prefix) const {
    if (const Node* node = argument.node()) return journey_.seen.type(prefix + node->name());
    if (!argument.items()) return {};
    std::vector<Type> elements;
    for (const Argument& item : *argument.items()) {
      elements.push_back(type_of_argument(item, prefix));
    }
    return Type::tuple(std::move(elements));
  }

  // What a body's placeholder may be: the operand, and what went round before.
  void enter(const Node& call, const BlockModule& block, size_t body) {
    const GraphModule& gm = block.bodies()[body];
    const std::string prefix = body_prefix(prefix_, call.name(), body);
    const bool loop = block.block_kind() == BlockKind::kLoop;
    const size_t first = block.block_kind() == BlockKind::kCode ? 0 : 1;
    const std::vector<Node*> placeholders = gm.graph().placeholders();
    const Argument& returned = gm.graph().output_node()->args()[0];
    for (size_t i = 0; i < placeholders.size(); ++i) {
      const std::string name = prefix + placeholders[i]->name();
      const bool goes_round = loop && i <= block.results().size();
      const Node* operand = call.args()[first + i].node();
      if (goes_round || (operand && known_open(*operand))) journey_.seen.open_numbers.insert(name);
      if (loop && i == 0) continue;
      if (operand) journey_.seen.add_type(name, type(*operand));
      if (goes_round)
        journey_.seen.add_type(name, type_of_argument(returned.items()->at(i), prefix));
    }
  }

  // What a block gives is open where one of its bodies, or what goes in, is.
  void add_results(const Node& call, const BlockModule& block) {
    const std::string name = prefix_ + call.name();
    const bool loop = block.block_kind() == BlockKind::kLoop;
    for (size_t body = 0; body < block.bodies().size(); ++body) {
      const Argument& returned = block.bodies()[body].graph().output_node()->args()[0];
      Type type = type_of_argument(returned, body_prefix(prefix_, call.name(), body));
      if (loop) type.elements.erase(type.elements.begin());
      journey_.seen.add_type(name, type);
    }
    if (!loop) return;
    std::vector<Type> first;
    for (size_t i = 0; i < block.results().size(); ++i) {
      first.push_back(type_of_argument(call.args()[i + 2], prefix_));
    }
    journey_.seen.add_type(name, Type::tuple(std::move(first)));
  }

  // Types alone decide the rest, and always as they did here.
  bool depends_on_data(const Node& call, BlockKind kind) const {
    const auto is_data = [this](const Argument& argument) {
      return argument.node() && data_free_.count(argument.node()->name()) == 0;
    };
    if (kind == BlockKind::kCode) return false;
    return is_data(call.args()[0]) || (kind == BlockKind::kLoop && is_data(call.args()[1]));
  }

  BlockCourse course_of(const std::string& block) const {
    const Route& route = journey_.route;
    const auto turn = route.find(block);
    BlockCourse course = turn == route.end() ? BlockCourse() : turn->second;
    if (!route.empty()) course.most_trips = std::min(course.most_trips, kMostTripsOffTheRoad);
    return course;
  }

  BlockModule::RunBody bodies_of(const Node& node, const BlockModule& block) {
    return [this, &node, &block](size_t body, std::vector<c10::IValue> inputs) {
      std::unique_ptr<Recorder>& recorder = bodies_[{&node, body}];
      if (!recorder) {
        recorder = std::make_unique<Recorder>(block.bodies()[body],
                                              body_prefix(prefix_, node.name(), body), journey_);
      }
      enter(node, block, body);
      auto result = recorder->run(std::move(inputs));
      TORCH_CHECK(result.ok(), std::string(result.status().message()));
      return *std::move(result);
    };
  }

  std::string prefix_;
  Journey& journey_;
  std::unordered_set<std::string> data_free_;
  std::map<std::pair<const Node*, size_t>, std::unique_ptr<Recorder>> bodies_;
};

absl::Status travel(const GraphModule& model, const std::vector<c10::IValue>& inputs,
                    Journey& journey) {
  const at::NoGradGuard no_grad;
  std::vector<c10::IValue> clones;
  for (const c10::IValue& input : inputs) clones.push_back(input.deepcopy());
  GraphModule copy = model.copy(GraphModule::Copy::kCloneBuffers);
  copy.eval();
  return Recorder(copy, "", journey).run(std::move(clones)).status();
}

std::vector<BlockCourse> other_courses(BlockKind kind) {
  BlockCourse course;
  if (kind == BlockKind::kIf) {
    course.other_branch = true;
    return {course};
  }
  BlockCourse none = course;
  none.most_trips = 0;
  course.least_trips = kTripsToSee;
  return {none, course};
}

// Runs that take a way nobody asked for may fail: the code never meant them.
void take_other_ways(const GraphModule& model, const std::vector<c10::IValue>& inputs,
                     Journey& journey) {
  std::unordered_set<std::string> done;
  for (size_t i = 0; i < journey.blocks.size() && done.size() < kMostBlocks; ++i) {
    const Met met = journey.blocks[i];  // grows: blocks in branches seen now
    if (!done.insert(met.block).second) continue;
    for (const BlockCourse& course : other_courses(met.kind)) {
      journey.route = met.route;
      journey.route[met.block] = course;
      travel(model, inputs, journey).IgnoreError();
    }
  }
}

}  // namespace

std::string body_prefix(const std::string& outer, const std::string& block, size_t body) {
  return outer + block + ":" + std::to_string(body) + "/";
}

TypeRecord part_of(const TypeRecord& record, const std::string& prefix) {
  TypeRecord part;
  for (const auto& [name, type] : record.types) {
    if (name.rfind(prefix, 0) == 0) part.types.emplace(name.substr(prefix.size()), type);
  }
  for (const auto& [name, value] : record.values) {
    if (name.rfind(prefix, 0) == 0) part.values.emplace(name.substr(prefix.size()), value);
  }
  return part;
}

Type seen_type(const c10::IValue& value) {
  if (!value.isList() && !value.isTuple()) return type_of(value);
  Type type = Type::of(value.isTuple() ? Type::Kind::kTuple : Type::Kind::kList);
  const auto items = value.isTuple() ? at::ArrayRef<c10::IValue>(value.toTupleRef().elements())
                                     : value.toListRef();
  for (const c10::IValue& item : items) type.elements.push_back(seen_type(item));
  return type;
}

Type with_one_element(Type type) {
  for (Type& element : type.elements) element = with_one_element(std::move(element));
  while (type.kind == Type::Kind::kList && type.elements.size() > 1) {
    keep_common(type.elements[0], type.elements.back());
    type.elements.pop_back();
  }
  return type;
}

void keep_common(Type& type, const Type& other) {
  if (type.kind != other.kind) {  // None here and a tensor there
    const bool unset = type.kind == Type::Kind::kNone || type.kind == Type::Kind::kUnknown;
    if (unset && other.kind != Type::Kind::kUnknown) type = other;
    return;
  }
  if (type.is_tensor() && type.dtype != other.dtype) type.dtype.reset();
  if (type.rank() != other.rank()) type.dims.reset();
  for (size_t i = 0; type.dims && i < type.dims->size(); ++i) {
    if ((*type.dims)[i].size != (*other.dims)[i].size) (*type.dims)[i] = Dim{};
  }
  if (type.kind == Type::Kind::kList && type.elements.size() != other.elements.size()) {
    type = with_one_element(std::move(type));
    if (other.elements.size() > 1) return keep_common(type, with_one_element(other));
  }
  if (type.elements.empty()) type.elements = other.elements;
  for (size_t i = 0; i < type.elements.size() && i < other.elements.size(); ++i) {
    keep_common(type.elements[i], other.elements[i]);
  }
}

absl::StatusOr<TypeRecord> record_types(const GraphModule& model,
                                        const std::vector<c10::IValue>& inputs,
                                        const ExportOptions& options,
                                        const std::unordered_set<std::string>& open_numbers) {
  Sightings seen;
  seen.open_numbers = open_numbers;
  Journey journey{options, seen, {}, {}};
  FXQ_RETURN_IF_ERROR(travel(model, inputs, journey));
  take_other_ways(model, inputs, journey);
  for (auto& [name, type] : seen.record.types) type = with_one_element(std::move(type));
  return std::move(seen.record);
}

}  // namespace fxq

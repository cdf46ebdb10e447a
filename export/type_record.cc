// if c: y = x else: y = x[:1]   with x: [2,3]    y is [2,3] one way and [1,3] the other: [?,3]
#include "fxq/export/type_record.h"

#include <ATen/core/grad_mode.h>

#include <map>
#include <unordered_set>

#include "fxq/base/status.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/problems.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/quant/reference_interpreter.h"

namespace fxq {
namespace {

// Blocks beyond these are seen as the example runs them.
constexpr size_t kMostBlocks = 64;

// A way that nobody asked for may go round for ever.
constexpr int64_t kMostTripsOffTheRoad = 100;

// How many trips more than none show how a loop's values change.
constexpr int64_t kTripsToSee = 3;

// Of a list: what its items have in common; no element, if it is empty.
Type seen_type(const c10::IValue& value) {
  if (!value.isList() && !value.isTuple()) return type_of(value);
  Type type = Type::of(value.isTuple() ? Type::Kind::kTuple : Type::Kind::kList);
  if (value.isTuple()) {
    for (const c10::IValue& item : value.toTupleRef().elements()) {
      type.elements.push_back(seen_type(item));
    }
    return type;
  }
  for (const c10::IValue& item : value.toListRef()) {
    if (type.elements.empty()) type.elements.push_back(seen_type(item));
    keep_common(type.elements[0], seen_type(item));
  }
  return type;
}

// Several runs of the same values, added up.
class Sightings {
 public:
  void add(const std::string& name, const c10::IValue& value, bool data_free) {
    const Type type = seen_type(value);
    const auto [known, is_new] = record.types.emplace(name, type);
    if (!is_new) keep_common(known->second, type);
    if (!data_free || differing_.count(name) != 0) return;
    const auto [same, first] = record.values.emplace(name, c10::IValue());
    if (first) {
      same->second = value.deepcopy();
    } else if (!same_value(same->second, value)) {
      record.values.erase(same);
      differing_.insert(name);
    }
  }

  TypeRecord record;

 private:
  std::unordered_set<std::string> differing_;
};

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
    journey_.seen.add(prefix_ + node.name(), value, data_free_.count(node.name()) != 0);
    return absl::OkStatus();
  }

  absl::StatusOr<c10::IValue> run_node(const Node& node, std::vector<c10::IValue> args,
                                       std::vector<c10::IValue> kwargs) override {
    const auto module =
        node.is(NodeKind::kCallModule) ? graph_module().module(node.target()) : nullptr;
    const auto* block = dynamic_cast<const BlockModule*>(module.get());
    if (!block) {
      return ReferenceInterpreter::run_node(node, std::move(args), std::move(kwargs));
    }
    const std::string name = prefix_ + node.name();
    if (depends_on_data(node, block->block_kind())) {
      journey_.blocks.push_back({name, block->block_kind(), journey_.route});
    }
    return block->run(std::move(args), bodies_of(node, *block), course_of(name));
  }

 private:
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
  if (type.elements.empty()) type.elements = other.elements;
  for (size_t i = 0; i < type.elements.size() && i < other.elements.size(); ++i) {
    keep_common(type.elements[i], other.elements[i]);
  }
}

absl::StatusOr<TypeRecord> record_types(const GraphModule& model,
                                        const std::vector<c10::IValue>& inputs,
                                        const ExportOptions& options) {
  Sightings seen;
  Journey journey{options, seen, {}, {}};
  FXQ_RETURN_IF_ERROR(travel(model, inputs, journey));
  take_other_ways(model, inputs, journey);
  return std::move(seen.record);
}

}  // namespace fxq

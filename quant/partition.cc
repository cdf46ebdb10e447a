// conv (BPU) -> dequantize -> prelu (CPU) -> quantize -> conv (BPU):
//   segments {conv}, {prelu}, {conv}; two boundaries.
// Every op starts as a segment; two of one device become one unless a path leads from one to the
// other through a third.
#include "fxq/quant/partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "fxq/base/check.h"
#include "fxq/quant/hybrid.h"
#include "fxq/quant/op_support.h"
#include "fxq/quant/segment_values.h"

namespace fxq {
namespace {

int64_t byte_size(const Type& type) {
  if (!type.is_tensor() || !type.has_static_shape()) return -1;
  int64_t count = static_cast<int64_t>(dtype_size(type.dtype.value_or(DType::kF32)));
  for (const Dim& dim : *type.dims) count *= dim.size;
  return count;
}

std::string bytes_text(int64_t bytes) {
  if (bytes < 0) return "? B";
  if (bytes < 1024) return fmt::format("{} B", bytes);
  if (bytes < 1024 * 1024) return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1024 * 1024));
}

class Partitioner {
 public:
  explicit Partitioner(const GraphModule& gm) {
    for (const Node* node : gm.graph().nodes()) has_devices_ |= !node->device.empty();
    for (const Node* node : gm.graph().nodes()) {
      if (!is_op(*node)) continue;
      const std::string device = node->device.empty() ? kCpuDevice : node->device;
      segment_of_[node] = static_cast<int>(segments_.size());
      segments_.push_back({device, {node}});
    }
    successors_.resize(segments_.size());
    for (const auto& entry : segment_of_) connect(entry.first, entry.second);
  }

  Partitions run() {
    for (const char* device : {kBpuDevice, kCpuDevice}) merge_all(device);
    Partitions result;
    order(result);
    find_boundaries(result);
    return result;
  }

 private:
  // Calls that do work somewhere.
  bool is_op(const Node& node) const {
    if (has_devices_ && node.device.empty()) return false;  // fake quants
    return node.is_call() && !is_plumbing(node) && !is_boundary(node) &&
           node.op() != OpId::kGetItem;
  }

  // Edges from whatever it would be handed, be it for a size.
  void connect(const Node* node, int to) {
    for (const Node* value : segment_values({node}).inputs) {
      const auto maker = segment_of_.find(maker_of(value));
      if (maker != segment_of_.end() && maker->second != to) {
        successors_[static_cast<size_t>(maker->second)].insert(to);
      }
    }
  }

  // The op behind boundaries, getitems and stubs; the graph's input or constant, if none is.
  const Node* maker_of(const Node* value) const {
    while (!is_op(*value) && !value->inputs().empty()) value = value->inputs()[0];
    return value;
  }

  // Everything that `start` reaches, without its own first steps into `skip`.
  bool reaches_around(int start, int target) const {
    std::vector<int> open;
    std::set<int> seen;
    for (const int next : successors_[static_cast<size_t>(start)]) {
      if (next != target && seen.insert(next).second) open.push_back(next);
    }
    while (!open.empty()) {
      const int at = open.back();
      open.pop_back();
      if (at == target) return true;
      for (const int next : successors_[static_cast<size_t>(at)]) {
        if (seen.insert(next).second) open.push_back(next);
      }
    }
    return false;
  }

  void merge_all(const std::string& device) {
    std::vector<int> kept;
    for (size_t i = 0; i < segments_.size(); ++i) {
      if (segments_[i].device != device || segments_[i].nodes.empty()) continue;
      const int at = static_cast<int>(i);
      const auto fits = std::find_if(kept.rbegin(), kept.rend(), [&](int other) {
        return !reaches_around(other, at) && !reaches_around(at, other);
      });
      if (fits == kept.rend()) {
        kept.push_back(at);
      } else {
        merge(*fits, at);
      }
    }
    while (merge_any(kept)) {
    }
  }

  // A merge may have made room for another one.
  bool merge_any(std::vector<int>& kept) {
    for (size_t a = 0; a < kept.size(); ++a) {
      for (size_t b = a + 1; b < kept.size(); ++b) {
        if (reaches_around(kept[a], kept[b]) || reaches_around(kept[b], kept[a])) continue;
        merge(kept[a], kept[b]);
        kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(b));
        return true;
      }
    }
    return false;
  }

  void merge(int into, int from) {
    Segment& source = segments_[static_cast<size_t>(from)];
    Segment& target = segments_[static_cast<size_t>(into)];
    for (const Node* node : source.nodes) segment_of_[node] = into;
    target.nodes.insert(target.nodes.end(), source.nodes.begin(), source.nodes.end());
    source.nodes.clear();
    auto& out = successors_[static_cast<size_t>(into)];
    out.insert(successors_[static_cast<size_t>(from)].begin(),
               successors_[static_cast<size_t>(from)].end());
    successors_[static_cast<size_t>(from)].clear();
    for (auto& next : successors_) {
      if (next.erase(from) != 0) next.insert(into);
    }
    out.erase(into);
  }

  // Predecessors first; among those that may run, the one whose first op stands first.
  void order(Partitions& result) {
    std::vector<int> waiting;
    for (size_t i = 0; i < segments_.size(); ++i) {
      if (segments_[i].nodes.empty()) continue;
      auto& nodes = segments_[i].nodes;
      std::sort(nodes.begin(), nodes.end(),
                [](const Node* a, const Node* b) { return a->is_before(b); });
      waiting.push_back(static_cast<int>(i));
    }
    while (!waiting.empty()) {
      auto next = std::find_if(waiting.begin(), waiting.end(), [&](int candidate) {
        return std::none_of(waiting.begin(), waiting.end(), [&](int other) {
          return successors_[static_cast<size_t>(other)].count(candidate) != 0;
        });
      });
      FXQ_CHECK(next != waiting.end(), "segments form a cycle");
      const int position = static_cast<int>(result.segments.size());
      for (const Node* node : segments_[static_cast<size_t>(*next)].nodes) {
        place_[node] = position;
      }
      result.segments.push_back(segments_[static_cast<size_t>(*next)]);
      waiting.erase(next);
    }
  }

  void find_boundaries(Partitions& result) const {
    std::set<std::pair<const Node*, int>> seen;
    for (size_t i = 0; i < result.segments.size(); ++i) {
      const int to = static_cast<int>(i);
      for (const Node* input : segment_values(result.segments[i].nodes).inputs) {
        const auto from = place_.find(maker_of(input));
        if (from == place_.end() || from->second == to) continue;
        const Node* value = copied(input);
        if (seen.insert({value, to}).second) {
          result.boundaries.push_back({value, from->second, to, byte_size(value->type)});
        }
      }
    }
  }

  // The integers, whether they are made before the copy or turned into floats after it.
  static const Node* copied(const Node* input) {
    return input->op() == OpId::kDequantize ? input->inputs()[0] : input;
  }

  bool has_devices_ = false;
  std::vector<Segment> segments_;
  std::vector<std::set<int>> successors_;
  std::unordered_map<const Node*, int> segment_of_;
  std::unordered_map<const Node*, int> place_;
};

std::string counted(size_t count, const char* one, const char* many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string segment_line(const Segment& segment, size_t index) {
  constexpr size_t kShown = 4;
  std::string names;
  for (size_t i = 0; i < segment.nodes.size() && i < kShown; ++i) {
    names += fmt::format(" %{}", segment.nodes[i]->name());
  }
  if (segment.nodes.size() > kShown) names += fmt::format(" ... %{}", segment.nodes.back()->name());
  return fmt::format("  {} {} {}:{}\n", index, segment.device,
                     counted(segment.nodes.size(), "op", "ops"), names);
}

}  // namespace

int Partitions::count(std::string_view device) const {
  return static_cast<int>(std::count_if(segments.begin(), segments.end(),
                                        [&](const Segment& s) { return s.device == device; }));
}

int64_t Partitions::bytes() const {
  int64_t total = 0;
  for (const Boundary& boundary : boundaries) total += std::max<int64_t>(0, boundary.bytes);
  return total;
}

std::string Partitions::to_string() const {
  std::string text =
      fmt::format("{} (BPU {}, CPU {}), {}, {}\n", counted(segments.size(), "segment", "segments"),
                  count(kBpuDevice), count(kCpuDevice),
                  counted(boundaries.size(), "copy", "copies"), bytes_text(bytes()));
  for (size_t i = 0; i < segments.size(); ++i) text += segment_line(segments[i], i);
  for (const Boundary& boundary : boundaries) {
    text += fmt::format("  %{} {} -> {}: {}\n", boundary.value->name(), boundary.from, boundary.to,
                        bytes_text(boundary.bytes));
  }
  return text;
}

Partitions partition(const GraphModule& gm) { return Partitioner(gm).run(); }

}  // namespace fxq

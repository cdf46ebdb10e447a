// DOT text -> libgvc's `dot` layout -> SVG, from its <svg tag on.
#include <fmt/format.h>
#include <graphviz/gvc.h>

#include <memory>
#include <mutex>

#include "fxq/base/status.h"
#include "fxq/graph/draw.h"

namespace fxq {
namespace {

// The layout takes time beyond linear: minutes here.
constexpr size_t kMaxNodes = 10000;

struct ContextCloser {
  void operator()(GVC_t* context) const { gvFreeContext(context); }
};
struct GraphCloser {
  void operator()(Agraph_t* graph) const { agclose(graph); }
};

absl::StatusOr<std::string> render(GVC_t* context, Agraph_t* graph) {
  if (gvLayout(context, graph, "dot") != 0) {
    return absl::InternalError("Graphviz cannot lay out the graph (is its dot plug-in there?)");
  }
  char* data = nullptr;
  unsigned int size = 0;
  const int failed = gvRenderData(context, graph, "svg", &data, &size);
  std::string svg = failed == 0 && data ? std::string(data, size) : std::string();
  if (data) gvFreeRenderData(data);
  gvFreeLayout(context, graph);
  const size_t begin = svg.find("<svg");
  if (begin == std::string::npos) {
    return absl::InternalError("Graphviz wrote no SVG (is its core plug-in there?)");
  }
  return svg.substr(begin);
}

}  // namespace

absl::StatusOr<std::string> to_svg(const GraphModule& gm, const DrawOptions& options) {
  if (gm.graph().size() > kMaxNodes) {
    return absl::InvalidArgumentError(
        fmt::format("{} nodes are too many for a picture (at most {}); write DOT instead",
                    gm.graph().size(), kMaxNodes));
  }
  // libgvc keeps global state.
  static auto* mutex = new std::mutex;
  std::lock_guard<std::mutex> lock(*mutex);
  const std::unique_ptr<GVC_t, ContextCloser> context(gvContext());
  if (!context) return absl::InternalError("Graphviz does not start");
  const std::unique_ptr<Agraph_t, GraphCloser> graph(agmemread(to_dot(gm, options).c_str()));
  if (!graph) return absl::InternalError("Graphviz does not read the graph's DOT text");
  return render(context.get(), graph.get());
}

}  // namespace fxq

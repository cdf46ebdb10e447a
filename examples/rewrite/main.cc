// rewrite MODEL.pt INPUT.npy: what a user of torch.fx does, in C++. Captures a model and rewrites
// it twice, by hand and with a rule set, prints every text and compares the results.
//   relu(x)         ->   relu(relu(x))     a pass that walks the graph and inserts nodes
//   relu(relu(x))   ->   relu(x)           one rule
#include <ATen/core/Tensor.h>

#include <cstdio>

#include "fxq/base/status.h"
#include "fxq/data/npy.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/graph/text.h"
#include "fxq/passes/pipeline.h"
#include "fxq/passes/rewriter.h"
#include "fxq/quant/compare.h"
#include "fxq/tracer/shape_prop.h"
#include "fxq/tracer/trace.h"

namespace {

// A rule serves nn.ReLU, F.relu and x.relu() alike.
absl::StatusOr<bool> drop_double_relu(fxq::GraphModule& gm) {
  using namespace fxq::pat;
  const fxq::Pat x;
  static const fxq::RuleSet rules{{"relu_of_relu", Relu(Relu(x)), Relu(x)}};
  FXQ_ASSIGN_OR_RETURN(const fxq::RewriteStats stats, fxq::rewrite(gm, rules));
  return stats.rewrites != 0;
}

// As with torch.fx: find nodes, insert others behind them, redirect the users.
absl::StatusOr<bool> double_relu(fxq::GraphModule& gm) {
  fxq::Graph& graph = gm.graph();
  const std::vector<fxq::Node*> relus = graph.find_all(fxq::OpId::kRelu);
  for (fxq::Node* relu : relus) {
    const auto behind = fxq::InsertionPoint::after(relu);
    fxq::Node* again = graph.call_op(fxq::OpId::kRelu, {fxq::Argument(relu)});
    again->type = relu->type;
    again->owner = relu->owner;
    graph.replace_all_uses(relu, again, /*except=*/again);
  }
  return !relus.empty();
}

absl::Status run(const std::string& model, const std::string& input) {
  FXQ_ASSIGN_OR_RETURN(const fxq::HostTensor images, fxq::read_npy(input));
  const at::Tensor x = fxq::to_at_tensor(images);
  FXQ_ASSIGN_OR_RETURN(fxq::GraphModule gm, fxq::trace_file(model));
  gm.eval();
  FXQ_RETURN_IF_ERROR(fxq::propagate_shapes(gm, {x}));
  FXQ_ASSIGN_OR_RETURN(const c10::IValue before, gm.forward({x}));

  fxq::GraphModule changed = gm.copy();
  std::vector<std::unique_ptr<fxq::Pass>> passes;
  passes.push_back(std::make_unique<fxq::FunctionPass>("double_relu", double_relu));
  passes.push_back(std::make_unique<fxq::FunctionPass>("drop_double_relu", drop_double_relu));
  fxq::PipelineOptions options;  // verifies before and after each pass
  options.dump = [](std::string_view pass, const std::string& text) {
    std::printf("== after '%s'\n%s\n", std::string(pass).c_str(), text.c_str());
  };
  fxq::Pipeline pipeline(std::move(passes), options);
  FXQ_RETURN_IF_ERROR(pipeline.run(changed).status());

  FXQ_ASSIGN_OR_RETURN(const c10::IValue after, changed.forward({x}));
  FXQ_ASSIGN_OR_RETURN(const double difference, fxq::max_relative_difference(before, after));
  std::printf("max relative difference: %g\n", difference);
  if (difference != 0) return absl::InternalError("the rewrite changed the result");
  if (changed.graph().size() != gm.graph().size()) {
    return absl::InternalError("a relu is left that should be gone");
  }
  return absl::OkStatus();
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: rewrite MODEL.pt INPUT.npy\n");
    return 2;
  }
  const absl::Status status = run(arguments[1], arguments[2]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "rewrite: %s\n", std::string(status.message()).c_str());
  return 1;
}

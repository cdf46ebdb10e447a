// fxq rewrite: .pt -> graph -> passes -> .pt: a TorchScript file that any LibTorch or Python loads.
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>

#include <sstream>

#include "fxq/base/file.h"
#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/cli/float_model.h"
#include "fxq/cli/model_file.h"
#include "fxq/graph/to_torchscript.h"
#include "fxq/passes/pipeline.h"
#include "fxq/passes/registry.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/fuse_fx.h"

namespace fxq {
namespace {

struct RewriteArguments {
  std::string model;
  std::string output;
  std::vector<std::string> shapes;
  std::optional<std::string> passes;
};

absl::StatusOr<GraphModule> rewritten(const GraphModule& gm, const RewriteArguments& arguments) {
  if (!arguments.passes) return fuse_fx(gm);
  GraphModule copy = gm.copy();
  FXQ_ASSIGN_OR_RETURN(auto passes, make_passes(*arguments.passes));
  FXQ_RETURN_IF_ERROR(Pipeline(std::move(passes)).run(copy).status());
  return copy;
}

absl::Status save_script(const torch::jit::Module& module, const std::string& path) {
  std::ostringstream bytes;
  try {
    module.save(bytes);
  } catch (const std::exception& error) {
    return absl::InternalError(fmt::format("{} can't be written: {}", path, error.what()));
  }
  return write_file_atomically(path, bytes.str());
}

// Both sides get inputs and a state of their own: a model may write into them.
absl::StatusOr<double> difference(const GraphModule& before, const torch::jit::Module& after,
                                  const std::vector<c10::IValue>& example) {
  auto copies = [&] {
    std::vector<c10::IValue> all;
    for (const c10::IValue& input : example) all.push_back(input.deepcopy());
    return all;
  };
  FXQ_ASSIGN_OR_RETURN(const c10::IValue expected,
                       before.copy(GraphModule::Copy::kCloneBuffers).forward(copies()));
  return max_relative_difference(expected, after.deepcopy().forward(copies()));
}

// Passes keep what a model computes, up to rounding.
absl::Status compare(const GraphModule& before, const torch::jit::Module& after,
                     const std::vector<c10::IValue>& example) {
  constexpr double kLargest = 1e-2;
  FXQ_ASSIGN_OR_RETURN(const double apart, difference(before, after, example));
  fmt::print("largest relative difference on the example: {:.2g}\n", apart);
  if (apart <= kLargest) return absl::OkStatus();
  return absl::InternalError(
      fmt::format("the model differs from the one it was made of by {:.2g} of its largest value: "
                  "nothing is written. A model that draws random numbers cannot be compared: leave "
                  "out --shape",
                  apart));
}

absl::Status rewrite(const RewriteArguments& arguments) {
  FXQ_ASSIGN_OR_RETURN(const ModelKind kind, model_kind(arguments.model));
  if (kind == ModelKind::kFxq) {
    return absl::InvalidArgumentError(arguments.model + ": is a .fxq; rewrite takes the .pt");
  }
  FXQ_RETURN_IF_ERROR(check_writable(arguments.output));
  std::vector<c10::IValue> example;
  if (!arguments.shapes.empty()) {
    FXQ_ASSIGN_OR_RETURN(example, example_of_shapes(arguments.model, arguments.shapes));
  }
  const FloatModelRequest request{arguments.model, {}};
  FXQ_ASSIGN_OR_RETURN(const GraphModule before, example.empty()
                                                     ? load_float_graph(request)
                                                     : load_float_graph(request, example));
  FXQ_ASSIGN_OR_RETURN(const GraphModule after, rewritten(before, arguments));
  FXQ_ASSIGN_OR_RETURN(torch::jit::Module module, to_torchscript(after));
  print_assumptions(after);
  if (!example.empty()) FXQ_RETURN_IF_ERROR(compare(before, module, example));
  FXQ_RETURN_IF_ERROR(save_script(module, arguments.output));
  fmt::print("{} nodes, {} before\nwrote {}\n", after.graph().size(), before.graph().size(),
             arguments.output);
  return absl::OkStatus();
}

std::string pass_list() {
  std::string text = "Passes of --passes:\n";
  for (const PassInfo& pass : pass_table())
    text += fmt::format("  {:16} {}\n", pass.name, pass.help);
  return text;
}

}  // namespace

Command add_rewrite(CLI::App& root) {
  auto arguments = std::make_shared<RewriteArguments>();
  CLI::App* app = root.add_subcommand(
      "rewrite", "Write a .pt again after passes over its graph (default: fusion)");
  app->footer(
      "Examples:\n"
      "  fxq rewrite m.pt --shape 1x3x224x224 -o fused.pt\n"
      "  fxq rewrite m.pt --passes cse,dce -o clean.pt\n" +
      pass_list());
  app->add_option("model", arguments->model, "A .pt file")->required();
  app->add_option("-o,--output", arguments->output, "File to write (.pt)")->required();
  app->add_option("--shape", arguments->shapes,
                  "Input shape (1x3x224x224 or name=...): compares before and after");
  app->add_option("--passes", arguments->passes, "Run these instead, comma-separated, in order");
  return {app, [arguments] { return rewrite(*arguments); }};
}

}  // namespace fxq

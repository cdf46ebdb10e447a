// Random modules through capture, text, files, passes and back to TorchScript: each way must give
// the same results as the module's own forward, and leave its input as the module does.
//   FXQ_RANDOM_SECONDS (10): how long; FXQ_RANDOM_SEED (1): the first seed. A failure names its
//   seed and shows the code.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <chrono>
#include <cstdlib>
#include <iterator>
#include <random>
#include <sstream>
#include <unordered_map>

#include "../tracer/script_source.h"
#include "fmt/format.h"
#include "fxq/graph/text.h"
#include "fxq/graph/to_torchscript.h"
#include "fxq/graph/verifier.h"
#include "fxq/passes/effects.h"
#include "fxq/passes/registry.h"
#include "fxq/passes/replace_pattern.h"
#include "module_source.h"

namespace fxq {
namespace {

double setting(const char* name, double otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atof(text) : otherwise;
}

// Results, and the input after the call: all that the caller sees.
using Seen = std::vector<at::Tensor>;

constexpr unsigned kModules = 1500;
constexpr int kCalls = 2;  // state shows in the second

// forward(x)
template <typename Forward>
Seen see(const Forward& forward, double sign) {
  at::manual_seed(5);
  const at::Tensor x = at::randn({2, 3, 4, 4}).abs() * sign;
  Seen seen;
  for (int call = 0; call < kCalls; ++call) {
    for (const at::Tensor& tensor : tensors_in(forward(x))) seen.push_back(tensor.clone());
  }
  seen.push_back(x);
  return seen;
}

// Relative: what other roundings may make of a few ops in a row.
constexpr double kRounding = 1e-4;

std::string difference(const Seen& expected, const Seen& actual, double tolerance) {
  if (expected.size() != actual.size())
    return fmt::format("{} results instead of {}", actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!at::allclose(expected[i], actual[i], tolerance, tolerance, /*equal_nan=*/true)) {
      return i + 1 == expected.size() ? "the input is left as another"
                                      : "result " + std::to_string(i) + " differs";
    }
  }
  return "";
}

struct Rewrite {
  const char *before, *after;
};

// What the same numbers can also be said by.
constexpr Rewrite kRewrites[] = {
    {"graph (%x) { %y = relu(%x) return %y }", "graph (%x) { %y = clamp_min(%x, 0.0) return %y }"},
    {"graph (%x) { %y = neg(%x) return %y }", "graph (%x) { %y = mul_scalar(%x, -1.0) return %y }"},
    {"graph (%x) { %y = abs(%x) return %y }",
     "graph (%x) { %n = neg(%x) %y = maximum(%x, %n) return %y }"},
    {"graph (%a, %b) { %y = add(%a, %b) return %y }",
     "graph (%a, %b) { %y = add(%b, %a) return %y }"},
    {"graph (%x) { %y = sigmoid(%x) return %y }",
     "graph (%x) { %n = neg(%x) %s = sigmoid(%n) %y = rsub_scalar(%s, 1.0) return %y }"},
    {"graph (%x) { %s = sigmoid(%x) %y = mul(%x, %s) return %y }",
     "graph (%x) { %y = silu(%x) return %y }"},
    {"graph (%x) { %t = tanh(%x) return %t }",
     "graph (%x) { %d = mul_scalar(%x, 2.0) %s = sigmoid(%d) %e = mul_scalar(%s, 2.0) "
     "%t = sub_scalar(%e, 1.0) return %t }"},
};

class RandomModule {
 public:
  explicit RandomModule(unsigned seed)
      : seed_(seed), rewrites_(seed), source_(testing::ModuleSource(seed).forward()) {}

  const std::string& source() const { return source_; }
  // False if LibTorch refused to run it: it writes over what it reads.
  bool ran() const { return expected_.size() == 2; }

  // What went wrong, or nothing.
  std::string check() {
    torch::jit::Module module = script_module("def unused(self, x):\n    return x\n");
    module.register_attribute("calls", c10::IntType::get(), 3);
    module.define(source_);
    module.train(seed_ % 2 == 0);
    for (const double sign : {1.0, -1.0}) {
      torch::jit::Module original = module.deepcopy();
      try {
        expected_.push_back(see([&](const at::Tensor& x) { return original.forward({x}); }, sign));
      } catch (const std::exception&) {
        return "";
      }
    }
    auto gm = trace(module.deepcopy());
    if (!gm.ok()) return "capture: " + std::string(gm.status().message());
    for (const auto& step :
         {&RandomModule::as_it_is, &RandomModule::as_text, &RandomModule::after_passes,
          &RandomModule::after_rewrites, &RandomModule::as_torchscript}) {
      std::string problem = (this->*step)(gm->copy(GraphModule::Copy::kCloneAll));
      if (!problem.empty()) return problem;
    }
    return "";
  }

 private:
  std::string compare(const GraphModule& gm, const std::string& what, double tolerance = 0) {
    for (size_t i = 0; i < expected_.size(); ++i) {
      const GraphModule fresh = gm.copy(GraphModule::Copy::kCloneAll);
      std::string problem;
      auto forward = [&](const at::Tensor& x) {
        auto result = fresh.forward({x});
        if (!result.ok()) problem = std::string(result.status().message());
        return result.ok() ? *result : c10::IValue();
      };
      const Seen seen = see(forward, i == 0 ? 1.0 : -1.0);
      if (problem.empty()) problem = difference(expected_[i], seen, tolerance);
      if (!problem.empty()) return what + ": " + problem;
    }
    return "";
  }

  std::string as_it_is(GraphModule gm) { return compare(gm, "graph"); }

  std::string as_text(GraphModule gm) {
    for (const std::string& path : gm.module_paths()) {
      if (gm.module(path)->kind() == "opaque") return "";  // code is not in the text
    }
    const std::string text = print_text(gm);
    auto again = parse_text(text);
    if (!again.ok()) return "text: " + std::string(again.status().message()) + "\n" + text;
    return print_text(*again) == text ? "" : "text: parses as another graph\n" + text;
  }

  std::string after_passes(GraphModule gm) {
    std::mt19937 random(seed_);
    double tolerance = 0;
    for (int i = 0; i < 4; ++i) {
      const PassInfo& pass = pass_table()[random() % pass_table().size()];
      if (const auto ran = pass.run(gm); !ran.ok()) {
        return std::string(pass.name) + ": " + std::string(ran.status().message());
      }
      if (!pass.is_exact) tolerance = kRounding;
      if (const absl::Status valid = verify(gm); !valid.ok()) {
        return std::string(pass.name) + " breaks the graph: " + std::string(valid.message());
      }
      std::string problem = compare(gm, "after " + std::string(pass.name), tolerance);
      if (!problem.empty()) return problem + "\n" + print_text(gm);
    }
    return "";
  }

  std::string after_rewrites(GraphModule gm) {
    for (int i = 0; i < 3; ++i) {
      auto made = rewrite(gm);
      if (!made.ok()) return "rewrite: " + std::string(made.status().message());
      const std::string what = "after the rewrite " + *made;
      if (const absl::Status valid = verify(gm); !valid.ok()) {
        return what + " the graph is broken: " + std::string(valid.message());
      }
      std::string problem = compare(gm, what, kRounding);
      if (!problem.empty()) return problem + "\n" + print_text(gm);
    }
    return "";
  }

  absl::StatusOr<std::string> rewrite(GraphModule& gm) {
    const size_t kind = rewrites_() % (std::size(kRewrites) + 2);
    if (kind == std::size(kRewrites)) return copy_into_another(gm);
    if (kind > std::size(kRewrites)) return compute_twice(gm);
    const Rewrite& rule = kRewrites[kind];
    const auto made = replace_pattern(gm, rule.before, rule.after);
    if (!made.ok()) return made.status();
    return std::string(rule.before);
  }

  // One reader of a value gets a call of its own.
  absl::StatusOr<std::string> compute_twice(GraphModule& gm) {
    std::vector<Node*> calls;
    for (Node* node : gm.graph().nodes()) {
      if (node->is(NodeKind::kCallFunction) && !node->users().empty()) calls.push_back(node);
    }
    if (calls.empty() || !barriers(gm.graph()).empty()) return std::string("of nothing");
    Node* call = calls[rewrites_() % calls.size()];
    const InsertionPoint after = InsertionPoint::after(call);
    Node* twin = gm.graph().node_copy(call, [](Node* input) { return Argument(input); });
    gm.graph().replace_input(*call->users().begin(), call, twin);
    return "of %" + call->name() + ", computed twice";
  }

  absl::StatusOr<std::string> copy_into_another(GraphModule& gm) {
    GraphModule other = gm.copy_without_graph();
    std::unordered_map<const Node*, Argument> values;
    other.graph().output(other.graph().graph_copy(gm.graph(), values));
    gm = std::move(other);
    return std::string("into another graph");
  }

  std::string as_torchscript(GraphModule gm) {
    const auto module = to_torchscript(gm);
    if (!module.ok()) return "to_torchscript: " + std::string(module.status().message());
    std::stringstream file;
    module->save(file);
    const torch::jit::Module loaded = torch::jit::load(file);
    for (size_t i = 0; i < expected_.size(); ++i) {
      torch::jit::Module fresh = loaded.deepcopy();
      const Seen seen =
          see([&](const at::Tensor& x) { return fresh.forward({x}); }, i == 0 ? 1.0 : -1.0);
      const std::string problem = difference(expected_[i], seen, 0);
      if (!problem.empty()) return "to_torchscript: " + problem;
    }
    return "";
  }

  unsigned seed_;
  std::mt19937 rewrites_;
  std::string source_;
  std::vector<Seen> expected_;
};

TEST(RandomModules, EveryWayGivesTheSame) {
  const at::NoGradGuard no_grad;
  // What LibTorch 1.13 does to a graph after its profiled runs can change results: a list's tensor
  // that is written in place before a branch.
  torch::jit::getNumProfiledRuns() = 1 << 30;
  const auto first = static_cast<unsigned>(setting("FXQ_RANDOM_SEED", 1));
  const double seconds = setting("FXQ_RANDOM_SECONDS", 0);
  const auto start = std::chrono::steady_clock::now();
  const auto goes_on = [&](unsigned seed) {
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    return seconds > 0 ? taken.count() < seconds : seed < first + kModules;
  };
  unsigned seed = first, ran = 0;
  for (; goes_on(seed); ++seed) {
    RandomModule module(seed);
    std::string problem;
    try {
      problem = module.check();
    } catch (const c10::Error& error) {
      problem = error.what_without_backtrace();
    } catch (const std::exception& error) {
      problem = error.what();
    }
    ran += module.ran();
    ASSERT_EQ(problem, "") << "FXQ_RANDOM_SEED=" << seed << "\n" << module.source();
  }
  std::printf("%u random modules, %u ran\n", seed - first, ran);
  EXPECT_GT(ran, (seed - first) * 3 / 4);
}

}  // namespace
}  // namespace fxq

// Exit codes: 0 all went well, 1 it did not, 2 the command line is wrong, 3 a gate (--strict) is
// missed, 130 interrupted.
#include <fmt/format.h>

#include <algorithm>

#include "absl/types/span.h"
#include "fxq/base/nearest.h"
#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

constexpr const char* kAbout =
    "fxq quantizes TorchScript models to int8, runs them fast, and exports them to ONNX.\n\n"
    "The usual way:\n"
    "  fxq inspect  model.pt                                  look at the graph\n"
    "  fxq check    model.pt --march bayes --shape 1x3x32x32  would it run on that target?\n"
    "  fxq quantize model.pt --calib data.npy -o model.fxq    make an int8 program\n"
    "  fxq qat      model.pt --data x.npy --labels y.npy -o model.fxq    the same, trained\n"
    "  fxq eval     model.fxq --data x.npy --labels y.npy     what did it cost in accuracy?\n"
    "  fxq bench    model.fxq --compare float                 what did it gain in speed?\n"
    "  fxq export   model.fxq -o model.onnx                   for any other runtime\n";

int report(const absl::Status& status) {
  if (status.ok()) return 0;
  fmt::print(stderr, "fxq: {}\n", std::string(status.message()));
  if (is_gate_missed(status)) return 3;
  return absl::IsCancelled(status) ? 130 : 1;
}

int usage_error(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  app.exit(error);
  return 2;
}

absl::Status load_libraries(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) FXQ_RETURN_IF_ERROR(load_operator_library(path));
  return absl::OkStatus();
}

std::string unknown_command(absl::Span<const Command> commands, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return "";
  std::vector<std::string> names;
  for (const Command& command : commands) names.push_back(command.app->get_name());
  if (std::find(names.begin(), names.end(), argv[1]) != names.end()) return "";
  return fmt::format("there is no command '{}'; {}", argv[1], did_you_mean(argv[1], names));
}

int run(int argc, char** argv) {
  CLI::App app{kAbout, "fxq"};
  app.set_version_flag("--version", version_text);
  app.require_subcommand(1);
  const Command commands[] = {add_inspect(app),  add_check(app),   add_explain(app),
                              add_quantize(app), add_qat(app),     add_run(app),
                              add_eval(app),     add_export(app),  add_bench(app),
                              add_rewrite(app),  add_compare(app), add_sensitivity(app)};
  std::vector<std::string> libraries;
  for (const Command& command : commands) {
    command.app
        ->add_option("--load-library", libraries,
                     "Shared library with operators that the model calls (custom ops, "
                     "torchvision's _C.so)")
        ->allow_extra_args(false);
  }
  app.failure_message(CLI::FailureMessage::simple);
  if (const std::string problem = unknown_command(commands, argc, argv); !problem.empty()) {
    fmt::print(stderr, "fxq: {}\n", problem);
    return 2;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return usage_error(app, error);
  }
  for (const Command& command : commands) {
    if (!command.app->parsed()) continue;
    try {
      const absl::Status loaded = load_libraries(libraries);
      return report(loaded.ok() ? command.run() : loaded);
    } catch (const std::exception& error) {
      return report(absl::InternalError(error.what()));
    }
  }
  return 2;
}

}  // namespace

}  // namespace fxq

int main(int argc, char** argv) { return fxq::run(argc, argv); }

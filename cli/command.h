// One subcommand of `fxq`: it declares its options on a CLI11 app and runs later, when they are
// parsed. The options live in the run function; main.cc owns both.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "absl/status/status.h"

namespace fxq {

struct Command {
  CLI::App* app = nullptr;
  std::function<absl::Status()> run;
};

Command add_inspect(CLI::App& root);
Command add_quantize(CLI::App& root);
Command add_qat(CLI::App& root);
Command add_run(CLI::App& root);
Command add_eval(CLI::App& root);
Command add_export(CLI::App& root);
Command add_bench(CLI::App& root);
Command add_rewrite(CLI::App& root);
Command add_compare(CLI::App& root);
Command add_sensitivity(CLI::App& root);
Command add_check(CLI::App& root);
Command add_explain(CLI::App& root);

// The job was done and a gate (--strict) is missed: exit code 3.
absl::Status gate_missed(std::string_view message);
bool is_gate_missed(const absl::Status& status);

// Checks that an option's value is a number above 0.
CLI::Validator positive_number();

// Versions of fxq and of what it stands on, and the instruction set in use.
std::string version_text();

}  // namespace fxq

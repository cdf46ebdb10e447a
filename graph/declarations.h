// Declarations: everything that stands before `graph` in the text form: settings, guards, modules,
// tensors and their states. Reads them from a Lexer it borrows and puts them into a GraphModule.
// Faults that need not stop the reading go to `problems`; a returned error ends it.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fxq/graph/declared_tensors.h"
#include "fxq/graph/text.h"

namespace fxq {

class Declarations {
 public:
  Declarations(Lexer& lexer, const ParseOptions& options, Problems& problems)
      : lexer_(lexer), options_(options), problems_(problems), slots_(options, problems) {}

  absl::Status read(GraphModule& gm);
  // True for every module and tensor that the text names, faulty or not.
  const std::set<std::string>& paths() const { return paths_; }

 private:
  enum class Mode : uint8_t { kOfGraph, kTrain, kEval };
  struct Module {
    Token at;
    ModuleSpec spec;
    std::set<std::string> trains;  // tensors beside weight and bias that are parameters
    std::set<std::string> frozen;  // of weight and bias, those that do not train
    Mode mode = Mode::kOfGraph;
  };

  absl::Status read_one(GraphModule& gm);
  absl::Status read_setting(GraphModule& gm);
  absl::Status read_tensor(bool trains);
  absl::Status read_module();
  absl::Status read_entry(Module& module);
  absl::Status read_annotation(Module& module);
  absl::Status read_state();
  bool claim(const Token& path);  // false, and reported, if the path is taken

  void build(GraphModule& gm);
  absl::StatusOr<std::shared_ptr<LeafModule>> make(const ModuleSpec& spec);
  void restore_ties(GraphModule& gm);

  Lexer& lexer_;
  const ParseOptions& options_;
  Problems& problems_;
  DeclaredTensors slots_;
  std::vector<std::pair<std::string, bool>> tensors_;  // of get_attr: path, trains
  std::vector<Module> modules_;
  std::set<std::string> paths_;
  bool training_ = false;
};

}  // namespace fxq

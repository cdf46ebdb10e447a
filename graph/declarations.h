// Declarations: everything that stands before `graph` in the text form: settings, guards, modules,
// tensors and their initial states. Reads them from a Lexer it borrows and puts them into a
// GraphModule. Faults that need not stop the reading go to `problems`.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "fxq/graph/graph_module.h"
#include "fxq/graph/lexer.h"
#include "fxq/graph/problems.h"
#include "fxq/graph/text.h"

namespace fxq {

class Declarations {
 public:
  Declarations(Lexer& lexer, const ParseOptions& options, Problems& problems)
      : lexer_(lexer), options_(options), problems_(problems) {}

  // A returned error is one that ends the reading: the text is not of the grammar.
  absl::Status read(GraphModule& gm);

 private:
  struct Slot {  // a declared tensor; tied ones share it
    at::Tensor tensor;
    bool given = false;  // by ParseOptions::tensors: never written into
  };
  struct Module {
    Token at;
    ModuleSpec spec;
    std::vector<std::string> trains;
    std::vector<std::string> frozen;
    int mode = -1;  // 0: eval, 1: train, -1: the graph's
  };

  absl::Status read_setting(GraphModule& gm);
  absl::Status read_guard(GraphModule& gm);
  absl::Status read_tensor(bool trains);
  absl::Status read_module();
  absl::Status read_module_entry(Module& module);
  absl::Status read_module_annotation(Module& module);
  absl::Status read_state();
  absl::Status read_tie(const Token& path);
  void apply_state(const Token& at, const std::string& path, const TensorInit& init);

  void declare(const Token& at, const std::string& path, const Type& type);
  at::Tensor allocate(const Token& at, const std::string& path, const Type& type);
  at::Tensor given(const Token& at, const std::string& path, const Type& type);
  Slot* find(const Token& path);

  void build(GraphModule& gm);
  at::Tensor finished(const std::string& path, bool trains);
  std::shared_ptr<LeafModule> make(const Module& module);
  void tie_modules(GraphModule& gm);

  Lexer& lexer_;
  const ParseOptions& options_;
  Problems& problems_;
  std::map<std::string, std::shared_ptr<Slot>> slots_;  // by full path
  std::vector<std::pair<std::string, bool>> tensors_;   // get_attr tensors: path, trains
  std::vector<Module> modules_;
  std::map<std::string, int> paths_;  // of modules and tensors, for duplicates
  int64_t allocated_ = 0;
  bool training_ = false;
};

}  // namespace fxq

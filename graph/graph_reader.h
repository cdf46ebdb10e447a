// GraphReader: the `graph (..) { .. }` part of the text form, read from a Lexer it borrows into a
// GraphModule whose modules and tensors are there already. Faults that need not stop the reading go
// to `problems`; a returned error ends it.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "fxq/graph/graph_module.h"
#include "fxq/graph/lexer.h"
#include "fxq/graph/problems.h"

namespace fxq {

class Declarations;

class GraphReader {
 public:
  GraphReader(Lexer& lexer, GraphModule& gm, const Declarations& declarations, Problems& problems)
      : lexer_(lexer), gm_(gm), declarations_(declarations), problems_(problems) {}

  absl::Status read();

 private:
  struct Facts {  // what stands behind a node: its type and annotations
    Type type;
    std::optional<std::string> owner;
    std::optional<std::string> owner_class;
    std::string source;
    std::vector<std::string> origins;
    std::string device;
    bool follows_mode = false;
  };
  struct Call {
    std::vector<Argument> args;
    Kwargs kwargs;
  };

  absl::Status read_placeholder();
  absl::Status read_statement();
  absl::Status read_return();
  // The node of a statement's right side; null if a fault (already reported) prevents it.
  absl::StatusOr<Node*> read_value(const Token& name);
  absl::StatusOr<Node*> read_get_attr(const Token& name);
  absl::StatusOr<Node*> read_method(const Token& name);
  absl::StatusOr<Node*> read_module_call(const Token& name, const Token& op);
  absl::StatusOr<Node*> read_function(const Token& name, const Token& op);
  absl::StatusOr<Call> read_call();
  absl::Status read_call_argument(Call& call);
  absl::StatusOr<Facts> read_facts();
  absl::Status read_fact(const Token& key, Facts& facts);

  absl::StatusOr<Argument> lookup(const Token& name);
  void define(const Token& name, Node* node);
  void apply(const Facts& facts, Node* node);
  void report_undeclared(const Token& path, std::string_view what);
  void report(const Token& at, const std::vector<std::string>& faults);

  Lexer& lexer_;
  GraphModule& gm_;
  const Declarations& declarations_;
  Problems& problems_;
  std::unordered_map<std::string, Node*> nodes_;  // null: defined, but faulty
  bool faulty_ = false;                           // the statement at hand names such a node
};

}  // namespace fxq

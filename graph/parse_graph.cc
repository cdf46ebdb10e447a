// graph (%x: f32[N,3,8,8]) {
//   %c = conv2d @c(%x, add=%y) : f32[N,4,8,8] {source="net.py:4"}    call_module
//   %s = aten::special_i0e(%c)                                       call_function
//   %w = get_attr @pos                                               get_attr
//   %m = method split(%o, 2)                                         call_method
//   return %s
// }
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "fxq/base/nearest.h"
#include "fxq/base/status.h"
#include "fxq/graph/call_check.h"
#include "fxq/graph/declarations.h"
#include "fxq/graph/graph_reader.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/graph/op_names.h"
#include "fxq/graph/parse_value.h"

namespace fxq {

using Tok = Token::Kind;

absl::Status GraphReader::read() {
  FXQ_RETURN_IF_ERROR(lexer_.expect("graph", "before the inputs"));
  FXQ_RETURN_IF_ERROR(lexer_.expect("(", "after 'graph'"));
  while (!lexer_.peek().is(")")) {
    FXQ_RETURN_IF_ERROR(read_placeholder());
    if (!lexer_.take_if(",")) break;
  }
  FXQ_RETURN_IF_ERROR(lexer_.expect(")", "after the graph's inputs"));
  FXQ_RETURN_IF_ERROR(lexer_.expect("{", "before the graph's nodes"));
  while (lexer_.peek().is(Tok::kNode)) FXQ_RETURN_IF_ERROR(read_statement());
  FXQ_RETURN_IF_ERROR(read_return());
  FXQ_RETURN_IF_ERROR(lexer_.expect("}", "after the returned value"));
  if (!lexer_.peek().is(Tok::kEnd)) return lexer_.expected("the end after the graph");
  return absl::OkStatus();
}

// %x: f32[N]    %x_1 "x": f32[N] = none    (name, the input's own name if it differs, type,
// default)
absl::Status GraphReader::read_placeholder() {
  FXQ_ASSIGN_OR_RETURN(const Token name, lexer_.expect(Tok::kNode, "an input (%name)"));
  const std::string target = lexer_.peek().is(Tok::kString) ? lexer_.take().text : name.text;
  FXQ_ASSIGN_OR_RETURN(Facts facts, read_facts());
  std::vector<Argument> default_value;
  if (lexer_.take_if("=")) {
    FXQ_ASSIGN_OR_RETURN(Argument value, read_argument(lexer_, nullptr));
    default_value.push_back(std::move(value));
  }
  if (nodes_.count(name.text) != 0) {
    problems_.add(Lexer::at(name, "a second value " + name.describe()));
    return absl::OkStatus();
  }
  Node* node = gm_.graph().placeholder(target);
  if (!default_value.empty()) gm_.graph().set_args(node, std::move(default_value));
  define(name, node);
  apply(facts, node);
  return absl::OkStatus();
}

absl::Status GraphReader::read_statement() {
  const Token name = lexer_.take();
  faulty_ = nodes_.count(name.text) != 0;
  if (faulty_) problems_.add(Lexer::at(name, "a second value " + name.describe()));
  FXQ_RETURN_IF_ERROR(lexer_.expect("=", "after " + name.describe()));
  FXQ_ASSIGN_OR_RETURN(Node * node, read_value(name));
  FXQ_ASSIGN_OR_RETURN(Facts facts, read_facts());
  define(name, node);
  apply(facts, node);
  return absl::OkStatus();
}

absl::StatusOr<Node*> GraphReader::read_value(const Token& name) {
  FXQ_ASSIGN_OR_RETURN(const Token op,
                       lexer_.expect(Tok::kName, "an op, 'get_attr' or 'method' after '='"));
  if (op.is("get_attr")) return read_get_attr(name);
  if (op.is("method")) return read_method(name);
  if (lexer_.peek().is(Tok::kPath)) return read_module_call(name, op);
  return read_function(name, op);
}

absl::StatusOr<Node*> GraphReader::read_get_attr(const Token& name) {
  FXQ_ASSIGN_OR_RETURN(const Token path, lexer_.expect(Tok::kPath, "the path of a tensor (@path)"));
  if (!gm_.tensor(path.text).defined()) {
    report_undeclared(path, "tensor");
    return nullptr;
  }
  return faulty_ ? nullptr : gm_.graph().get_attr(path.text, name.text);
}

absl::StatusOr<Node*> GraphReader::read_method(const Token& name) {
  FXQ_ASSIGN_OR_RETURN(const Token method, lexer_.expect(Tok::kName, "the name of a method"));
  FXQ_ASSIGN_OR_RETURN(Call call, read_call());
  if (faulty_) return nullptr;
  Node* node =
      gm_.graph().call_method(method.text, std::move(call.args), std::move(call.kwargs), name.text);
  report(method, check_call(gm_, *node));
  return node;
}

absl::StatusOr<Node*> GraphReader::read_module_call(const Token& name, const Token& op) {
  const Token path = lexer_.take();
  FXQ_ASSIGN_OR_RETURN(Call call, read_call());
  const auto module = gm_.module(path.text);
  if (!module) {
    report_undeclared(path, "module");
    return nullptr;
  }
  if (module->kind() != op.text) {
    problems_.add(Lexer::at(
        op, fmt::format("module {} is '{}', not '{}'", path.describe(), module->kind(), op.text)));
    return nullptr;
  }
  if (faulty_) return nullptr;
  Node* node = gm_.call_module(path.text, std::move(call.args), std::move(call.kwargs), name.text);
  report(op, check_call(gm_, *node));
  return node;
}

absl::StatusOr<Node*> GraphReader::read_function(const Token& name, const Token& op) {
  if (!lexer_.peek().is("(")) return lexer_.expected("'(' or a module's path after the op");
  FXQ_ASSIGN_OR_RETURN(Call call, read_call());
  if (!find_op(op.text).schema) {
    problems_.add(Lexer::at(op, unknown_op(op.text)));
    return nullptr;
  }
  if (faulty_) return nullptr;
  Node* node = gm_.graph().call_function(target_of(op.text), std::move(call.args),
                                         std::move(call.kwargs), name.text);
  report(op, check_call(gm_, *node));
  return node;
}

absl::StatusOr<GraphReader::Call> GraphReader::read_call() {
  Call call;
  FXQ_RETURN_IF_ERROR(lexer_.expect("(", "before the arguments"));
  while (!lexer_.peek().is(")")) {
    FXQ_RETURN_IF_ERROR(read_call_argument(call));
    if (!lexer_.take_if(",")) break;
  }
  FXQ_RETURN_IF_ERROR(lexer_.expect(")", "after the arguments"));
  return call;
}

absl::Status GraphReader::read_call_argument(Call& call) {
  const auto nodes = [this](const Token& name) { return lookup(name); };
  const Token first = lexer_.peek();
  if (!first.is(Tok::kName)) {
    FXQ_ASSIGN_OR_RETURN(Argument value, read_argument(lexer_, nodes));
    if (!call.kwargs.empty()) return Lexer::error(first, "an unnamed argument after a named one");
    call.args.push_back(std::move(value));
    return absl::OkStatus();
  }
  lexer_.take();
  if (!lexer_.take_if("=")) {
    FXQ_ASSIGN_OR_RETURN(Argument value, read_word_argument(lexer_, first, nodes));
    if (!call.kwargs.empty()) return Lexer::error(first, "an unnamed argument after a named one");
    call.args.push_back(std::move(value));
    return absl::OkStatus();
  }
  FXQ_ASSIGN_OR_RETURN(Argument value, read_argument(lexer_, nodes));
  for (const auto& [key, earlier] : call.kwargs) {
    if (key != first.text) continue;
    problems_.add(Lexer::at(first, "a second argument " + first.describe()));
    return absl::OkStatus();
  }
  call.kwargs.emplace_back(first.text, std::move(value));
  return absl::OkStatus();
}

absl::Status GraphReader::read_return() {
  FXQ_RETURN_IF_ERROR(lexer_.expect("return", "or another node (%name = ...)"));
  faulty_ = false;
  FXQ_ASSIGN_OR_RETURN(Argument value,
                       read_argument(lexer_, [this](const Token& name) { return lookup(name); }));
  FXQ_ASSIGN_OR_RETURN(Facts facts, read_facts());
  if (!faulty_) apply(facts, gm_.graph().output(std::move(value)));
  return absl::OkStatus();
}

absl::StatusOr<Argument> GraphReader::lookup(const Token& name) {
  const auto it = nodes_.find(name.text);
  if (it != nodes_.end() && it->second) return Argument(it->second);
  faulty_ = true;
  if (it == nodes_.end()) {
    std::vector<std::string> known;
    for (const Node* node : gm_.graph().nodes()) known.push_back(node->name());
    problems_.add(Lexer::at(name, fmt::format("no value {} is defined above: {}", name.describe(),
                                              did_you_mean(name.text, known))));
    nodes_.emplace(name.text, nullptr);
  }
  return Argument();
}

void GraphReader::define(const Token& name, Node* node) {
  if (node) {
    if (node->name() != name.text) gm_.graph().rename(node, name.text);
    if (node->name() != name.text) {
      problems_.add(Lexer::at(name, name.describe() + " is no name: names are letters, digits and "
                                                      "'_' and begin with no digit"));
    }
  }
  nodes_.emplace(name.text, node);
}

// A path that is declared, but faulty, was reported already.
void GraphReader::report_undeclared(const Token& path, std::string_view what) {
  const auto& paths = declarations_.paths();
  if (paths.count(path.text) != 0) {
    const bool is_other = gm_.module(path.text) || gm_.tensor(path.text).defined();
    if (is_other) problems_.add(Lexer::at(path, fmt::format("{} is no {}", path.describe(), what)));
    return;
  }
  const std::vector<std::string> known(paths.begin(), paths.end());
  problems_.add(Lexer::at(path, fmt::format("no {} {} is declared: {}", what, path.describe(),
                                            did_you_mean(path.text, known))));
}

void GraphReader::report(const Token& at, const std::vector<std::string>& faults) {
  for (const std::string& fault : faults) problems_.add(Lexer::at(at, fault));
}

}  // namespace fxq

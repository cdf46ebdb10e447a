// setting march = "CPU"     guard "x.dim() == 4 (net.py:7)"     training
// module @fc = linear(weight: f32[10,64], bias: none, attribute=1) {class="torch.nn...Linear"}
// parameter @pos : f32[1,8]     buffer @mask : bool[8]     state @fc.weight = normal(7)
#include <fmt/format.h>

#include "fxq/base/nearest.h"
#include "fxq/base/status.h"
#include "fxq/graph/declarations.h"
#include "fxq/graph/parse_value.h"

namespace fxq {

using Tok = Token::Kind;

absl::Status Declarations::read(GraphModule& gm) {
  while (!lexer_.peek().is("graph")) FXQ_RETURN_IF_ERROR(read_one(gm));
  build(gm);
  return absl::OkStatus();
}

absl::Status Declarations::read_one(GraphModule& gm) {
  if (lexer_.take_if("module")) return read_module();
  if (lexer_.take_if("state")) return read_state();
  if (lexer_.take_if("parameter")) return read_tensor(/*trains=*/true);
  if (lexer_.take_if("buffer")) return read_tensor(/*trains=*/false);
  if (lexer_.take_if("setting")) return read_setting(gm);
  if (lexer_.take_if("training")) {
    training_ = true;
    return absl::OkStatus();
  }
  if (lexer_.take_if("guard")) {
    FXQ_ASSIGN_OR_RETURN(std::string guard, read_string(lexer_, "a condition"));
    gm.guards.push_back(std::move(guard));
    return absl::OkStatus();
  }
  return lexer_.expected(
      "'module', 'parameter', 'buffer', 'state', 'setting', 'guard', 'training' or 'graph'");
}

absl::Status Declarations::read_setting(GraphModule& gm) {
  if (!lexer_.peek().is(Tok::kName) && !lexer_.peek().is(Tok::kString)) {
    return lexer_.expected("the name of a setting");
  }
  const Token key = lexer_.take();
  FXQ_RETURN_IF_ERROR(lexer_.expect("=", "after the name of a setting"));
  FXQ_ASSIGN_OR_RETURN(std::string value, read_string(lexer_, "the setting's value"));
  if (!gm.settings.emplace(key.text, std::move(value)).second) {
    problems_.add(Lexer::at(key, "a second setting " + key.describe()));
  }
  return absl::OkStatus();
}

bool Declarations::claim(const Token& path) {
  if (paths_.insert(path.text).second) return true;
  problems_.add(Lexer::at(path, "a second module or tensor " + path.describe()));
  return false;
}

absl::Status Declarations::read_tensor(bool trains) {
  FXQ_ASSIGN_OR_RETURN(const Token path, lexer_.expect(Tok::kPath, "the path of a tensor (@path)"));
  FXQ_RETURN_IF_ERROR(lexer_.expect(":", "after the path of a tensor"));
  FXQ_ASSIGN_OR_RETURN(const Type type, read_type(lexer_));
  if (!claim(path)) return absl::OkStatus();
  slots_.declare(path, path.text, type);
  tensors_.emplace_back(path.text, trains);
  return absl::OkStatus();
}

absl::Status Declarations::read_module() {
  Module module;
  FXQ_ASSIGN_OR_RETURN(module.at, lexer_.expect(Tok::kPath, "the path of a module (@path)"));
  const bool is_new = claim(module.at);
  module.spec.path = module.at.text;
  FXQ_RETURN_IF_ERROR(lexer_.expect("=", "after the path of a module"));
  FXQ_ASSIGN_OR_RETURN(const Token kind, lexer_.expect(Tok::kName, "the kind of the module"));
  module.spec.kind = module.spec.class_name = kind.text;
  FXQ_RETURN_IF_ERROR(lexer_.expect("(", "after the kind of a module"));
  while (!lexer_.peek().is(")")) {
    FXQ_RETURN_IF_ERROR(read_entry(module));
    if (!lexer_.take_if(",")) break;
  }
  FXQ_RETURN_IF_ERROR(lexer_.expect(")", "after the module's tensors and attributes"));
  if (lexer_.peek().is("{")) FXQ_RETURN_IF_ERROR(read_annotation(module));
  if (is_new) modules_.push_back(std::move(module));
  return absl::OkStatus();
}

// name: type (a tensor)  or  name=value (an attribute)
absl::Status Declarations::read_entry(Module& module) {
  FXQ_ASSIGN_OR_RETURN(const Token name, read_key(lexer_, "the name of a tensor or attribute"));
  auto taken = [&](const auto& entries) {
    for (const auto& entry : entries) {
      if (entry.first == name.text) return true;
    }
    return false;
  };
  if (taken(module.spec.tensors) || taken(module.spec.attributes)) {
    problems_.add(Lexer::at(name, "a second '" + name.text + "' in one module"));
  }
  if (lexer_.take_if(":")) {
    const Token at = lexer_.peek();
    FXQ_ASSIGN_OR_RETURN(const Type type, read_type(lexer_));
    module.spec.tensors.emplace_back(name.text, at::Tensor());
    if (type.kind != Type::Kind::kNone) {
      slots_.declare(at, module.spec.path + "." + name.text, type);
    }
    return absl::OkStatus();
  }
  FXQ_RETURN_IF_ERROR(lexer_.expect("=", "(an attribute) or ':' (a tensor) after the name"));
  FXQ_ASSIGN_OR_RETURN(Argument value, read_argument(lexer_, nullptr));
  module.spec.attributes.emplace_back(name.text, std::move(value));
  return absl::OkStatus();
}

absl::Status Declarations::read_annotation(Module& module) {
  auto read_set = [&](std::set<std::string>& names) -> absl::Status {
    FXQ_ASSIGN_OR_RETURN(auto list, read_strings(lexer_, "the name of a tensor"));
    names.insert(list.begin(), list.end());
    return absl::OkStatus();
  };
  return read_braces(lexer_, [&](const Token& key) -> absl::Status {
    if (key.is("train") || key.is("eval")) {
      module.mode = key.is("train") ? Mode::kTrain : Mode::kEval;
      return absl::OkStatus();
    }
    FXQ_RETURN_IF_ERROR(lexer_.expect("=", "after '" + key.text + "'"));
    if (key.is("trains")) return read_set(module.trains);
    if (key.is("frozen")) return read_set(module.frozen);
    if (!key.is("class")) {
      return Lexer::error(key,
                          "expected class, trains, frozen, train or eval, read " + key.describe());
    }
    FXQ_ASSIGN_OR_RETURN(module.spec.class_name, read_string(lexer_, "a class name"));
    return absl::OkStatus();
  });
}

absl::Status Declarations::read_state() {
  if (!lexer_.peek().is(Tok::kPath) && !lexer_.peek().is("*")) {
    return lexer_.expected("the path of a tensor (@path), or '*' for all above");
  }
  const Token path = lexer_.take();
  FXQ_RETURN_IF_ERROR(lexer_.expect("=", "after the path of a tensor"));
  if (path.is(Tok::kPath) && lexer_.peek().is(Tok::kPath)) {
    slots_.tie(path, lexer_.take());
    return absl::OkStatus();
  }
  FXQ_ASSIGN_OR_RETURN(const Token kind, lexer_.expect(Tok::kName, "an initial state, normal(7)"));
  TensorInit init{kind.text, {}};
  if (lexer_.take_if("(")) {
    while (!lexer_.peek().is(")")) {
      FXQ_ASSIGN_OR_RETURN(Argument argument, read_argument(lexer_, nullptr));
      init.args.push_back(std::move(argument));
      if (!lexer_.take_if(",")) break;
    }
    FXQ_RETURN_IF_ERROR(lexer_.expect(")", "after the initial state"));
  }
  slots_.fill(path, init);
  return absl::OkStatus();
}

}  // namespace fxq

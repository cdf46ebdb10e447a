// DeclaredTensors: the tensors that a text declares, by path: filled by `state` lines or by the
// caller, else zeros; tied tensors are one object. Bytes are allocated when they are first needed.
// Serves the parser while it reads one text; faults go to `problems`.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fxq/graph/lexer.h"
#include "fxq/graph/problems.h"
#include "fxq/graph/seeded_tensor.h"
#include "fxq/graph/text.h"

namespace fxq {

class DeclaredTensors {
 public:
  // options.tensors fills what it names; these tensors are shared, never written into.
  DeclaredTensors(const ParseOptions& options, Problems& problems)
      : options_(options), problems_(problems) {}

  void declare(const Token& at, const std::string& path, const Type& type);
  // state @path = init; path "*" fills every tensor declared so far, each with its own salt.
  void fill(const Token& at, const TensorInit& init);
  // state @path = @source: from now on one tensor.
  void tie(const Token& path, const Token& source);
  // The tensor for `path`, undefined if it was not declared without fault.
  at::Tensor finish(const std::string& path, bool trains);

  const std::vector<std::pair<std::string, std::string>>& ties() const { return ties_; }

 private:
  struct Slot {
    Token at;  // its type
    Type type;
    at::Tensor tensor;
    bool given = false;
    bool faulty = false;  // and reported
  };

  std::shared_ptr<Slot> find(const Token& path);
  void fill_slot(const Token& at, const TensorInit& init, Slot& slot, uint64_t salt);
  void allocate(Slot& slot);
  void check_given(const std::string& path, const Slot& slot);
  void fault(Slot& slot, const std::string& message);

  const ParseOptions& options_;
  Problems& problems_;
  std::map<std::string, std::shared_ptr<Slot>> slots_;
  std::vector<std::pair<std::string, std::string>> ties_;
  int64_t allocated_ = 0;
};

}  // namespace fxq

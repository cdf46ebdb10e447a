// DeclaredTensors: the tensors that a text declares, by path: allocated as their types say, filled by
// `state` lines or by the caller, tied tensors one object. Serves the parser while it reads one text;
// faults go to `problems`.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fxq/graph/leaf_module.h"
#include "fxq/graph/lexer.h"
#include "fxq/graph/problems.h"
#include "fxq/graph/seeded_tensor.h"
#include "fxq/graph/type.h"

namespace fxq {

class DeclaredTensors {
 public:
  // `given` fills what it names; its tensors are shared, never written into.
  DeclaredTensors(const std::map<std::string, at::Tensor>& given, Problems& problems)
      : given_(given), problems_(problems) {}

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
    at::Tensor tensor;
    bool given = false;
  };

  std::shared_ptr<Slot> find(const Token& path);
  void fill_slot(const Token& at, const TensorInit& init, Slot& slot, uint64_t salt);
  at::Tensor allocate(const Token& at, const Type& type);
  void check_given(const Token& at, const std::string& path, const Type& type,
                   const at::Tensor& tensor);

  const std::map<std::string, at::Tensor>& given_;
  Problems& problems_;
  std::map<std::string, std::shared_ptr<Slot>> slots_;
  std::vector<std::pair<std::string, std::string>> ties_;
  int64_t allocated_ = 0;
};

}  // namespace fxq

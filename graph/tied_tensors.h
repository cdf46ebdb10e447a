// TiedTensors: finds tensors that are stored under several paths. A value that serves one walk over
// a GraphModule; the order of the walk decides which path counts as the first.
#pragma once

#include <map>
#include <string>
#include <tuple>

namespace at {
class Tensor;
}

namespace fxq {

class TiedTensors {
 public:
  // The path under which these bytes, with this type, were added before; "" if they are new. Empty
  // and undefined tensors are never tied.
  std::string add(const std::string& path, const at::Tensor& tensor);

 private:
  std::map<std::tuple<const void*, std::string>, std::string> paths_;
};

}  // namespace fxq

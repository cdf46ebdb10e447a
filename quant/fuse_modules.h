// fuse_modules: the API page's eager fusion, by module paths the user lists: the first module of a
// list becomes the fused one, the rest become Identity. fuse_fx needs no lists; these are for
// models whose author knows better, and for fusers of his own.
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/graph/op_module.h"

namespace fxq {

using ModuleList = std::vector<std::shared_ptr<LeafModule>>;

// A weighted op (or batch norm) and what follows it: y = activation(base(x) + other). Lives in
// lists; in a graph fuse_modules makes it a module and the epilogue of its call.
class FusedModule : public LeafModule {
 public:
  FusedModule(std::shared_ptr<OpModule> base, bool adds, OpId activation);
  const std::shared_ptr<OpModule>& base() const { return base_; }
  bool adds() const { return adds_; }
  OpId activation() const { return activation_; }

  c10::IValue call(const std::string& method, std::vector<c10::IValue> inputs) override;
  std::string kind() const override { return "fused"; }
  NamedTensors tensors() const override { return base_->tensors(); }
  NamedAttributes attributes() const override;
  std::shared_ptr<LeafModule> clone_leaf() const override;
  void set_tensor(const std::string& name, at::Tensor tensor) override;

 private:
  std::shared_ptr<OpModule> base_;
  bool adds_;
  OpId activation_;
};

// Makes the fused module of a list whose class names are its key, joined by ",":
// "Conv2d,BatchNorm2d". Classes of torch.nn go by their last name, in keys by any.
using FuserMethod = std::function<absl::StatusOr<std::shared_ptr<LeafModule>>(const ModuleList&)>;
using FuserMethodMapping = std::map<std::string, FuserMethod>;

// The fused module, then Identity: a list of the same length. Knows {conv, linear} x {bn; bn relu;
// relu; bn add; bn add relu; add; add relu} (conv: any convolution or transposed one; relu: relu or
// relu6; add: any module whose op is add), bn relu, and the additional ones. In training mode batch
// norms train on (WeightedBnModule), else they are folded. Any other list is InvalidArgument.
absl::StatusOr<ModuleList> fuse_known_modules(
    const ModuleList& mod_list, const FuserMethodMapping& additional_fuser_method_mapping = {});

using FuserFunc =
    std::function<absl::StatusOr<ModuleList>(const ModuleList&, const FuserMethodMapping&)>;

struct FuseModulesOptions {
  FuserFunc fuser_func = fuse_known_modules;
  FuserMethodMapping additional_fuser_method_mapping;  // of fuse_custom_config_dict
};

// A copy with these lists of modules fused; the caller's model does not change. An add is named by
// its FloatFunctional's path, which also stands for the relu of add_relu; a traced model does not
// say which module called a function (fuse_fx fuses those). InvalidArgument lists every list that
// cannot be fused and why: a path that is no module, a module that is called several times, an
// inner value that others read, modules that do not follow each other, an unknown sequence; and
// keys of the additional mapping that are no list's.
absl::StatusOr<GraphModule> fuse_modules(const GraphModule& model,
                                         const std::vector<std::vector<std::string>>& lists,
                                         const FuseModulesOptions& options = {});
absl::StatusOr<GraphModule> fuse_modules(const GraphModule& model,
                                         const std::vector<std::string>& modules_to_fuse,
                                         const FuseModulesOptions& options = {});
// The same, written as {"conv", "bn"} and {{"conv1", "bn1"}, {"conv2", "relu2"}}.
using Names = std::initializer_list<const char*>;
absl::StatusOr<GraphModule> fuse_modules(const GraphModule& model, Names modules_to_fuse,
                                         const FuseModulesOptions& options = {});
absl::StatusOr<GraphModule> fuse_modules(const GraphModule& model,
                                         std::initializer_list<Names> lists,
                                         const FuseModulesOptions& options = {});
// inplace=True: on the model itself, all lists or none.
absl::Status fuse_modules_inplace(GraphModule& model,
                                  const std::vector<std::vector<std::string>>& lists,
                                  const FuseModulesOptions& options = {});

}  // namespace fxq

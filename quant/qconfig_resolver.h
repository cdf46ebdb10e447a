// QConfigResolver: which qconfig has this node? Functions and methods have their owner's; a fused
// op has that of its last member, unless a null entry names another member more closely (what
// matches null is not quantized) or an any_member entry names one. Borrows the graph and the dict.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/float_calls.h"
#include "fxq/quant/qconfig.h"

namespace fxq {

// The entry of a QConfigDict that decides.
struct QConfigRule {
  enum class Kind : uint8_t {
    kNone,
    kGlobal,
    kModuleType,
    kModuleName,
    kModuleQConfig,
    kAnyMember
  };
  Kind kind = Kind::kNone;
  std::string_view entry;            // its name in the dict
  std::string_view member;           // path of the module that it was found for
  int distance = 0;                  // modules between that one and what the entry names
  const QConfig* qconfig = nullptr;  // null: not quantized
  // Of a higher kind, or of the same and closer.
  bool is_closer_than(const QConfigRule& other) const;
  std::string to_string() const;  // module_name "layer1"
};

class QConfigResolver {
 public:
  QConfigResolver(const GraphModule& gm, const QConfigDict& dict);
  QConfigRule rule(const Node& node) const;
  // nullptr: not quantized.
  const QConfig* find(const Node& node) const { return rule(node).qconfig; }
  // InvalidArgument: paths and classes of the dict that nothing in the model has, each with the
  // nearest one.
  absl::Status check_names() const;
  // One line for each entry that names inner members of fused ops, to no effect.
  std::vector<std::string> notes() const;

 private:
  QConfigRule rule_of(const FloatCall& call) const;
  QConfigRule rule_of_type(const FloatCall& call) const;
  QConfigRule rule_among(const std::vector<QConfigRule>& members) const;
  std::vector<QConfigRule> member_rules(const Node& node) const;
  std::string_view class_at(std::string_view path) const;  // "" if unknown

  const GraphModule& gm_;
  const QConfigDict& dict_;
  FloatCalls calls_;
  std::vector<std::pair<std::string, std::string>> classes_;  // path -> class, sorted by path
};

}  // namespace fxq

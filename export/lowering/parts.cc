// parts of %s -> values named as the getitems of %s
#include "fxq/export/lowering/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"

namespace fxq {
namespace {

bool takes(const Node& user, size_t i, size_t count) {
  if (user.op() != OpId::kGetItem || user.args().size() < 2) return false;
  const auto* index = user.args()[1].get_if<int64_t>();
  const auto size = static_cast<int64_t>(count);
  return index && (*index < 0 ? *index + size : *index) == static_cast<int64_t>(i);
}

// The getitem that takes part i; null if there is none.
const Node* taker(const Node& call, size_t i, size_t count) {
  for (const Node* user : call.users()) {
    if (takes(*user, i, count)) return user;
  }
  return nullptr;
}

// The name of the getitem that takes part i, else "<call>.i".
std::string part_name(const Node& call, size_t i, size_t count) {
  const Node* user = taker(call, i, count);
  return user ? user->name() : fmt::format("{}.{}", call.name(), i);
}

bool is_taken(const Node& call, size_t i, size_t count) {
  return std::any_of(call.users().begin(), call.users().end(), [&](const Node* user) {
    return user->op() != OpId::kGetItem || takes(*user, i, count);
  });
}

using Renamed = std::map<std::string, std::string>;

// Parts of parts too, where somebody takes them.
void name_parts(OnnxBuilder& builder, const Node& call, const std::vector<OnnxValue>& values,
                Renamed& renamed) {
  for (size_t i = 0; i < values.size(); ++i) {
    const Node* user = taker(call, i, values.size());
    if (user && values[i].kind == OnnxValue::Kind::kList) {
      name_parts(builder, *user, values[i].children, renamed);
    }
    const std::string& old = values[i].name;
    const std::string name = part_name(call, i, values.size());
    const bool free = !old.empty() && old != name && renamed.count(old) == 0;
    if (free && builder.rename(old, name)) renamed[old] = name;
  }
}

void rename(OnnxValue& value, const Renamed& renamed) {
  const auto found = renamed.find(value.name);
  if (found != renamed.end()) value.name = found->second;
  for (OnnxValue& child : value.children) rename(child, renamed);
}

// The integers' type of a part: of a list, tuple or tensor type.
const Type* quantized_part(const Type& type, size_t i) {
  if (type.is_quantized()) return &type;
  if (type.elements.empty()) return nullptr;
  return quantized_part(type.elements[std::min(i, type.elements.size() - 1)], i);
}

}  // namespace

absl::Status finish_parts(Exporter& exporter, const OpView& view, std::vector<std::string> parts) {
  const Node& node = *view.node();
  std::vector<OnnxValue> values;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].empty()) {
      if (is_taken(node, i, parts.size())) {
        return absl::UnimplementedError(fmt::format("its result {} has no ONNX form", i));
      }
      values.emplace_back();
      continue;
    }
    const std::string name = part_name(node, i, parts.size());
    if (const Type* type = quantized_part(node.type, i)) {
      FXQ_ASSIGN_OR_RETURN(parts[i], exporter.quantize(parts[i], *type, name));
    } else if (exporter.builder().rename(parts[i], name)) {
      parts[i] = name;
    }
    values.push_back(OnnxValue::tensor(parts[i]));
  }
  exporter.set(&node, OnnxValue::list(std::move(values)));
  return absl::OkStatus();
}

void finish_values(Exporter& exporter, const Node& call, std::vector<OnnxValue> values) {
  Renamed renamed;
  name_parts(exporter.builder(), call, values, renamed);
  for (OnnxValue& value : values) rename(value, renamed);
  exporter.set(&call, OnnxValue::list(std::move(values)));
}

}  // namespace fxq

// module @c = conv2d(weight: f32[8,3,3,3], ..)   ->  "c.weight": zeros, f32[8,3,3,3]
// state @c.weight = normal(7)                    ->  its bytes
// state @d.weight = @c.weight                    ->  one tensor under two paths
#include "fxq/graph/declared_tensors.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "fxq/base/nearest.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/tensor_convert.h"

namespace fxq {
namespace {

uint64_t hash(std::string_view text) {
  uint64_t value = 0xcbf29ce484222325ULL;
  for (char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return value;
}

}  // namespace

void DeclaredTensors::fault(Slot& slot, const std::string& message) {
  slot.faulty = true;
  problems_.add(Lexer::at(slot.at, message));
}

void DeclaredTensors::declare(const Token& at, const std::string& path, const Type& type) {
  auto slot = std::make_shared<Slot>();
  slot->at = at;
  slot->type = type;
  const auto it = options_.tensors.find(path);
  if (it != options_.tensors.end() && it->second.defined()) {
    slot->tensor = it->second.detach();
    slot->given = true;
    const Type actual = type_of(slot->tensor);
    if (actual.dtype != type.dtype || (type.dtype && actual.dims != type.dims)) {
      fault(*slot, fmt::format("{} is declared as {} but its data is {}", path_text(path),
                               type.to_string(), actual.to_string()));
    }
  } else if (!type.is_tensor()) {
    fault(*slot, "expected the type of a tensor, read " + type.to_string());
  }
  if (!slots_.emplace(path, slot).second) fault(*slot, "a second tensor " + path_text(path));
}

void DeclaredTensors::allocate(Slot& slot) {
  if (slot.tensor.defined() || slot.faulty) return;
  const Type& type = slot.type;
  if (!type.dtype || !type.has_static_shape()) {
    return fault(slot, "expected a tensor type with a known shape, read " + type.to_string());
  }
  int64_t bytes = static_cast<int64_t>(dtype_size(*type.dtype));
  std::vector<int64_t> sizes;
  bool fits = true;
  for (const Dim& dim : *type.dims) {
    sizes.push_back(dim.size);
    fits = fits && !__builtin_mul_overflow(bytes, std::max<int64_t>(dim.size, 1), &bytes);
  }
  if (!fits || bytes > options_.most_bytes - allocated_) {
    return fault(slot, fmt::format("with this {} the tensors need more than {} MiB: more than a "
                                   "text may ask for",
                                   type.to_string(), options_.most_bytes >> 20));
  }
  allocated_ += bytes;
  const auto scalar = static_cast<at::ScalarType>(scalar_type_number(*type.dtype));
  slot.tensor = at::zeros(sizes, at::TensorOptions().dtype(scalar));
}

std::shared_ptr<DeclaredTensors::Slot> DeclaredTensors::find(const Token& path) {
  const auto it = slots_.find(path.text);
  if (it != slots_.end()) return it->second;
  std::vector<std::string> known;
  for (const auto& [name, slot] : slots_) known.push_back(name);
  problems_.add(Lexer::at(path, fmt::format("no tensor {} is declared above: {}", path.describe(),
                                            did_you_mean(path.text, known))));
  return nullptr;
}

void DeclaredTensors::fill_slot(const Token& at, const TensorInit& init, Slot& slot,
                                uint64_t salt) {
  allocate(slot);
  if (slot.faulty) return;
  auto content = seeded_tensor(init, slot.tensor, salt);
  if (!content.ok()) {
    problems_.add(Lexer::at(at, std::string(content.status().message())));
  } else if (slot.given) {
    slot.tensor = *std::move(content);
    slot.given = false;
  } else {
    slot.tensor.copy_(*content);
  }
}

void DeclaredTensors::fill(const Token& at, const TensorInit& init) {
  if (at.is(Token::Kind::kPath)) {
    if (const auto slot = find(at)) fill_slot(at, init, *slot, 0);
    return;
  }
  for (const auto& [path, slot] : slots_) fill_slot(at, init, *slot, hash(path));
}

void DeclaredTensors::tie(const Token& path, const Token& source) {
  const auto to = find(path);
  const auto from = find(source);
  if (!to || !from) return;
  if (to->type != from->type) {
    problems_.add(Lexer::at(
        path, fmt::format("{} is {} and cannot be {}, which is {}", path.describe(),
                          to->type.to_string(), source.describe(), from->type.to_string())));
    return;
  }
  slots_[path.text] = from;
  ties_.emplace_back(path.text, source.text);
}

at::Tensor DeclaredTensors::finish(const std::string& path, bool trains) {
  const auto it = slots_.find(path);
  if (it == slots_.end()) return {};
  Slot& slot = *it->second;
  if (options_.tensors_required && !slot.tensor.defined() && !slot.faulty) {
    fault(slot, "there is no data for " + path_text(path));
  }
  allocate(slot);
  if (slot.faulty) return {};
  if (trains && slot.tensor.is_floating_point()) slot.tensor.set_requires_grad(true);
  return slot.tensor;
}

}  // namespace fxq

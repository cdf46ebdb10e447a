// Arguments <-> IValues. For .cc files of LibTorch-facing layers only.
#pragma once

#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <optional>

#include "fxq/graph/argument.h"
#include "fxq/graph/type.h"

namespace c10 {
struct Argument;
}

namespace fxq {

// Optional[Optional[T]] -> T; null stays null.
c10::TypePtr without_optional(c10::TypePtr type);

// A constant argument as the schema's type wants it: 1 -> Scalar or [1, 1] or 1.0; none -> None.
// Throws c10::Error if it cannot be.
c10::IValue to_ivalue_as(const Argument& argument, const c10::TypePtr& type);

// The argument as its schema type shows it: dtypes and not numbers, 1.0 where a float is wanted.
Argument schema_argument(const c10::Argument& formal, Argument value);

// A list or tuple of evaluated items as an IValue list of `element` type (null: from the items).
c10::IValue make_list(const std::vector<c10::IValue>& items, const c10::TypePtr& element);

// Lists, dicts and tuples rebuilt where TorchScript's static type (List[Tensor], not List[int] for
// an empty one) differs from what was guessed from their items; all else as it is.
c10::IValue as_static_type(const c10::IValue& value, const c10::TypePtr& wanted);

// The constant as an argument; nullopt for tensors, modules and other objects.
std::optional<Argument> to_argument(const c10::IValue& value);

// What is known about a value: dtype, sizes, structure.
Type type_of(const c10::IValue& value);

}  // namespace fxq

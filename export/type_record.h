// What running a model tells an export: the type of every value, and the values that no data
// decide. A model with branches is run once more per branch and loop, each time taking the other
// way there: what then differs depends on data. So does what is made with a number that data decide
// (size_trials.h). Values of bodies are under "<block>:<body>/<node>".
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/export/known_values.h"
#include "fxq/graph/block_module.h"

namespace fxq {

using Types = std::unordered_map<std::string, Type>;

struct TypeRecord {
  Types types;
  KnownValues values;
};

// The model is not changed by the run; neither are the inputs. `open_numbers`: names of nodes whose
// numbers may be others than those of the run, for a reason that runs do not show.
absl::StatusOr<TypeRecord> record_types(const GraphModule& model,
                                        const std::vector<c10::IValue>& inputs,
                                        const ExportOptions& options,
                                        const std::unordered_set<std::string>& open_numbers = {});

// "opaque_if:0/", the prefix of a body's names in a record.
std::string body_prefix(const std::string& outer, const std::string& block, size_t body);

// The part of the record that is of a body, under the body's own names.
TypeRecord part_of(const TypeRecord& record, const std::string& prefix);

// The type of a value as a run has it. A list has an element per item.
Type seen_type(const c10::IValue& value);

// Lists have what their items have in common; no element if they are empty.
Type with_one_element(Type type);

// Keeps what two types have in common: sizes, ranks and dtypes that differ become unknown.
void keep_common(Type& type, const Type& other);

}  // namespace fxq

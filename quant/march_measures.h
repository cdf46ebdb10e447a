// What limits of marches speak of, as numbers of one call. A measure that is not known (no shape,
// an attribute computed while running) gives no value.
#pragma once

#include <vector>

#include "fxq/graph/view.h"

namespace fxq::measures {

using Values = std::vector<double>;

// -- of weights and attributes
Values kernel(const OpView& view);
Values stride(const OpView& view);
Values padding(const OpView& view);
Values dilation(const OpView& view);
Values groups(const OpView& view);
Values channels_per_group(const OpView& view);  // in and out
Values channels(const OpView& view);            // of a weight's both sides, or of the operands
Values features(const OpView& view);            // of a linear's both sides
Values align_corners(const OpView& view);
Values padding_mode(const OpView& view);
Values reflects(const OpView& view);

// -- of operands and results
Values inputs(const OpView& view);
Values rank(const OpView& view);
Values batch(const OpView& view);
Values extent(const OpView& view);  // all dimensions but the batch
Values ratio(const OpView& view);   // result's size by operand's, per spatial axis
Values broadcast_operands(const OpView& view);
Values broadcasts_over_batch(const OpView& view);
Values reduced_dims(const OpView& view);
Values outer_dims_changed(const OpView& view);  // batch or channels differ between operand, result
Values moves_batch(const OpView& view);         // dimension 0 goes elsewhere

// -- of readers
Values results_used_inside(const OpView& view);  // by more than the graph's output
Values indices_used_inside(const OpView& view);  // the same of result 1

}  // namespace fxq::measures

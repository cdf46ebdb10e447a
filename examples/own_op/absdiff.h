// demo::absdiff(a, b) = |a - b|: an operator that neither LibTorch nor fxq knows.
#pragma once

#include "absl/status/status.h"
#include "fxq/runtime/kernel.h"

// Tells fxq everything about it. Call once, before models that use it are captured or run.
absl::Status register_absdiff();

// Its fast integer kernel, for programs; needs the runtime only.
fxq::Kernel absdiff_kernel();

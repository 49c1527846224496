// A rule applied to given weights and gradients: the door for golden vectors
// and for comparing with other implementations.
#pragma once

#include "muonlab/formats/json.h"

namespace muonlab::optim {

/// request: {"rule": preset name, "options": {"lr", "weight_decay", any option
/// of the rule, "betas": [b1, b2], "polar": {"method", "coefficients",
/// "steps", "eps", "eps_mode", "dtype"}, "q0": Dion's first basis}, "dtype":
/// "float64" (default), "float32", "bfloat16" or "float16", "shape": [...],
/// "w0": [row-major], "gradients": [[...], ...], and if wanted "role" and
/// "blocks": [{"name", "rows"}]}. A shape of one dimension is a vector, of two
/// a matrix, of more a conv kernel.
///
/// Returns {"schema": 1, "rule", "options": {all, resolved}, "w": [after each
/// step], "update_rms": [|W' - W| / (lr sqrt(numel)), or null at lr 0]}, in the
/// shortest digits of the dtype. A list of requests gives a list of results.
///
/// Throws Error(kInvalidArgument) naming the key, Error(kDiverged) on a
/// gradient with NaN or infinity.
[[nodiscard]] formats::Json replay(const formats::Json& request);

}  // namespace muonlab::optim

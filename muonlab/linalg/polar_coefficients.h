// Tables of Newton-Schulz steps as text, as options and configurations give
// them.
#pragma once

#include <string>
#include <string_view>

#include "muonlab/linalg/polar_table.h"

namespace muonlab {

/// The table that a text stands for:
///
///   keller                     a name of polar_table()
///   3.4,-4.7,2.0; 1.9,-1.3,.4  rows a,b,c, the last one repeats; then, if
///                              wanted, "; safety=1.01"
///   polar-express:lower=1e-4,steps=6,cushion=0.02,safety=1.01,degree=5
///                              polar_express_table(); each part has a default
///
/// Own rows and generated ones must keep singular values in (0, 2] for `steps`
/// steps (check_polar_table). Throws Error(kInvalidArgument) on anything else.
/// The reference stays valid; tables are made once per text and number of
/// steps. Thread-safe.
[[nodiscard]] const PolarTable& polar_coefficients(std::string_view text,
                                                   int steps);

/// Text that reads back as these rows and this safety, for tables made in code.
[[nodiscard]] std::string polar_coefficients_text(const PolarTable& table);

/// What a user may write, in a line.
[[nodiscard]] std::string_view polar_coefficients_help();

}  // namespace muonlab

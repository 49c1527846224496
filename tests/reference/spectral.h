// Directions that are no polar factor: the steepest ones of other norms.
#pragma once

#include "tests/reference/matrix.h"
#include "tests/reference/settings.h"

namespace muonlab::reference {

/// What the option `direction` makes of `a`.
[[nodiscard]] Matrix direction_of(const Settings& s, const Matrix& a);

/// Each row divided by its 2-norm; zero rows stay zero.
[[nodiscard]] Matrix rows_to_unit(const Matrix& a);

}  // namespace muonlab::reference

// The Newton-Schulz coefficients that polar_coefficients names.
#pragma once

#include <string>
#include <vector>

#include "tests/reference/matrix.h"

namespace muonlab::reference {

/// Step i uses row min(i, last). The input is divided by `safety` times its
/// Frobenius norm.
struct Table {
  std::vector<Coefficients> rows;
  double safety = 1;
};

/// Throws std::invalid_argument on a name that it does not know.
[[nodiscard]] Table coefficient_table(const std::string& name);
[[nodiscard]] std::vector<std::string> coefficient_names();

/// By what each row of m (rows <= columns) is divided, before safety and eps:
/// "frobenius", "schatten-4", "aol".
[[nodiscard]] std::vector<double> row_norms(const Matrix& m,
                                            const std::string& norm);

/// Newton-Schulz with the table's rows. X = M / (s |M| + eps), or with `clamp`
/// M / max(s |M|, eps), on the short side; the norm as row_norms has it.
[[nodiscard]] Matrix newton_schulz(const Matrix& m, const Table& table,
                                   int steps, double eps, bool clamp,
                                   const std::string& norm = "frobenius");

}  // namespace muonlab::reference

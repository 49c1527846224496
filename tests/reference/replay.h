// Every optimizer of the library once more in float64, written from the
// formulas for reading and sharing no code with it: the twins.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "tests/reference/matrix.h"

namespace muonlab::reference {

using Value = std::variant<double, bool, std::string>;
/// Flat: polar_method, polar_steps, beta1, beta2, ... Whole numbers are double.
using Options = std::map<std::string, Value>;

/// The weight after each step. `rule` is the name of a preset; options that are
/// not given take its defaults, of which the twins keep their own table.
/// `q0`, of shape (columns, rank), is for dion alone, which needs it.
///
/// qk_clip may only be 0: attention logits are no function of one matrix.
/// polar_dtype changes nothing, everything is float64. Throws
/// std::invalid_argument on an unknown rule, on an option that the rule does
/// not have or that belongs to a choice not made (pre_eps without pre), and on
/// an unknown value.
[[nodiscard]] std::vector<Matrix> replay(const std::string& rule,
                                         const Options& options,
                                         const Matrix& w0,
                                         const std::vector<Matrix>& gradients,
                                         const Matrix* q0 = nullptr);

/// As replay, with each element of what a rule decomposes or orthogonalises
/// (momentum, factors) multiplied by 1 + `size` u, u uniform in (-1, 1): what
/// rounding of that size there does to the result.
[[nodiscard]] std::vector<Matrix> replay_with_noise(
    const std::string& rule, const Options& options, const Matrix& w0,
    const std::vector<Matrix>& gradients, const Matrix* q0, double size,
    std::uint64_t seed);

/// The rules that replay knows. random-spectrum is not among them, because
/// its values are the library's own random numbers.
[[nodiscard]] std::vector<std::string> twin_names();

/// All options of a rule with these given: the defaults filled in.
[[nodiscard]] Options resolved_options(const std::string& rule,
                                       const Options& given);

}  // namespace muonlab::reference

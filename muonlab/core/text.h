// Text that people read: numbers, durations, tables, nearest names.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace muonlab::core {

/// Shortest decimal that reads back as the same number ("0.1", "1e-08", "nan",
/// "inf", "-inf").
[[nodiscard]] std::string shortest(double value);
[[nodiscard]] std::string shortest(float value);
/// printf's %.*f, locale-free.
[[nodiscard]] std::string fixed(double value, int digits);
/// 1234567 -> "1,234,567".
[[nodiscard]] std::string grouped(std::int64_t value);
/// Seconds as "950 ms", "12.3 s", "5m20s" or "1h02m".
[[nodiscard]] std::string duration(double seconds);
/// Bytes as "5.4 MB" (powers of ten).
[[nodiscard]] std::string byte_size(double bytes);

[[nodiscard]] std::string join(std::span<const std::string> parts,
                               std::string_view separator);

/// The candidate with the smallest edit distance to `name`; empty when none is
/// near enough to be a likely slip (at most two edits, or a third of a long
/// name, and always fewer than it has letters).
[[nodiscard]] std::string nearest_name(std::string_view name,
                                       std::span<const std::string> candidates);
/// `; did you mean 'X'?` or, when nothing is near, `; known: A, B, C`.
[[nodiscard]] std::string suggestion(std::string_view name,
                                     std::span<const std::string> candidates);

/// True when `name` fits `pattern`, in which each `*` stands for any run of
/// characters, dots included.
[[nodiscard]] bool matches_pattern(std::string_view pattern,
                                   std::string_view name);

/// A table with aligned columns; the first row is the heading. Cells that look
/// like numbers are set flush right.
[[nodiscard]] std::string aligned_table(
    const std::vector<std::vector<std::string>>& rows);

}  // namespace muonlab::core

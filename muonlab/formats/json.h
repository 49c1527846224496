// JSON as muonlab writes it: numbers in their shortest round-trip form of their
// own type, non-finite numbers as the strings "nan", "inf", "-inf".
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace muonlab::formats {

/// Keeps the order of insertion, so that files read as they were written.
using Json = nlohmann::ordered_json;

/// A number for Json. nlohmann would write NaN as null and widen a float to
/// its seventeen-digit double.
[[nodiscard]] Json json_number(double value);
[[nodiscard]] Json json_number(float value);
/// The inverse: a number, or one of the three strings. Throws
/// Error(kCorruptData) on anything else, naming `what`.
[[nodiscard]] double number_from_json(const Json& value, std::string_view what);

/// Parses a file. Throws Error(kIo) or Error(kCorruptData) with the byte
/// offset.
[[nodiscard]] Json read_json(const std::filesystem::path& path);
/// Writes with two blanks of indentation, atomically.
void write_json(const std::filesystem::path& path, const Json& value);

}  // namespace muonlab::formats

#include "muonlab/formats/json.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/core/text.h"

namespace muonlab::formats {

Json json_number(double value) {
  if (!std::isfinite(value)) return core::shortest(value);
  return value;
}

Json json_number(float value) {
  const std::string text = core::shortest(value);
  if (!std::isfinite(value)) return text;
  // The double nearest to the float's shortest decimal prints as that decimal.
  double widened = 0;
  std::from_chars(text.data(), text.data() + text.size(), widened);
  return widened;
}

double number_from_json(const Json& value, std::string_view what) {
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
    if (text == "inf") return std::numeric_limits<double>::infinity();
    if (text == "-inf") return -std::numeric_limits<double>::infinity();
  }
  throw Error(ErrorKind::kCorruptData,
              concat(what, ": not a number: got ", value.dump(),
                     ", expected a number, \"nan\", \"inf\" or \"-inf\""));
}

Json read_json(const std::filesystem::path& path) {
  const std::string text = core::read_file(path);
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& e) {
    throw Error(ErrorKind::kCorruptData,
                concat(path.string(), ": not valid JSON at byte ", e.byte,
                       ": file of ", text.size(), " bytes"),
                "write it again with the command that made it");
  }
}

void write_json(const std::filesystem::path& path, const Json& value) {
  core::write_file(path, value.dump(2) + "\n");
}

}  // namespace muonlab::formats

#include "muonlab/linalg/polar_coefficients.h"

#include <charconv>
#include <cmath>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/linalg/polar_convergence.h"
#include "muonlab/linalg/polar_express.h"

namespace muonlab {

namespace {

constexpr std::string_view kWho = "polar coefficients";
constexpr std::string_view kGenerator = "polar-express:";
constexpr std::size_t kMostRows = 100;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

std::vector<std::string_view> parts_of(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

double number_in(std::string_view text, std::string_view what) {
  std::string_view digits = text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  double value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value);
  MUONLAB_CHECK(error == std::errc() && end == digits.data() + digits.size() &&
                    std::isfinite(value),
                kWho, ": ", what, ": got '", text, "', expected a number");
  return value;
}

// "name=value", or nullopt where there is no '='.
std::optional<std::pair<std::string_view, std::string_view>> setting(
    std::string_view text) {
  const auto place = text.find('=');
  if (place == std::string_view::npos) return std::nullopt;
  return std::pair(trimmed(text.substr(0, place)),
                   trimmed(text.substr(place + 1)));
}

int whole_in(std::string_view text, std::string_view what) {
  const double value = number_in(text, what);
  MUONLAB_CHECK(value == std::nearbyint(value) && std::abs(value) < 1e6, kWho,
                ": ", what, ": got '", text, "', expected a whole number");
  return static_cast<int>(value);
}

PolarTable generated(std::string_view parts) {
  PolarExpressOptions options;
  if (!trimmed(parts).empty()) {
    for (const std::string_view part : parts_of(parts, ',')) {
      const auto pair = setting(part);
      MUONLAB_CHECK(pair, kWho, ": polar-express: got '", part,
                    "', expected name=value");
      const auto [name, value] = *pair;
      const std::string what = concat("polar-express: ", name);
      if (name == "lower") {
        options.lower = number_in(value, what);
      } else if (name == "steps") {
        options.steps = whole_in(value, what);
      } else if (name == "cushion") {
        options.cushion = number_in(value, what);
      } else if (name == "safety") {
        options.safety = number_in(value, what);
      } else if (name == "degree") {
        options.degree = whole_in(value, what);
      } else {
        const std::vector<std::string> known = {"lower", "steps", "cushion",
                                                "safety", "degree"};
        throw Error(ErrorKind::kInvalidArgument,
                    concat(kWho, ": polar-express has no '", name, "'",
                           core::suggestion(name, known)));
      }
    }
  }
  return polar_express_table(options);
}

PolarTable rows_in(std::string_view text) {
  PolarTable table;
  table.source = "own rows";
  for (const std::string_view part : parts_of(text, ';')) {
    if (const auto pair = setting(part)) {
      MUONLAB_CHECK(pair->first == "safety", kWho, ": got '", part,
                    "', expected safety=NUMBER");
      table.safety = number_in(pair->second, "safety");
      MUONLAB_CHECK(table.safety >= 1 && table.safety < 2, kWho,
                    ": safety: got ", table.safety,
                    ", expected 1 or more and less than 2");
      continue;
    }
    const auto numbers = parts_of(part, ',');
    const std::size_t row = table.rows.size() + 1;
    MUONLAB_CHECK(numbers.size() == 3, kWho, ": row ", row, ": got '", part,
                  "', expected three numbers a,b,c");
    const std::string what = concat("row ", row);
    table.rows.push_back({number_in(numbers[0], what),
                          number_in(numbers[1], what),
                          number_in(numbers[2], what)});
  }
  MUONLAB_CHECK(!table.rows.empty() && table.rows.size() <= kMostRows, kWho,
                ": got ", table.rows.size(), " rows, expected 1 to ",
                kMostRows);
  return table;
}

bool is_text_of_rows(std::string_view text) {
  return text.find_first_of(",;=") != std::string_view::npos;
}

}  // namespace

const PolarTable& polar_coefficients(std::string_view text, int steps) {
  const bool generator = text.starts_with(kGenerator);
  if (!generator && !is_text_of_rows(text)) return polar_table(text);
  // Nodes of a map stay where they are, so references into it stay valid.
  static std::mutex mutex;
  static std::map<std::pair<std::string, int>, PolarTable> known;
  const std::lock_guard lock(mutex);
  std::pair<std::string, int> key(text, steps);
  const auto found = known.find(key);
  if (found != known.end()) return found->second;
  PolarTable table =
      generator ? generated(text.substr(kGenerator.size())) : rows_in(text);
  check_polar_table(table, steps, kWho);
  const auto [place, added] = known.emplace(std::move(key), std::move(table));
  place->second.name = place->first.first;
  return place->second;
}

std::string polar_coefficients_text(const PolarTable& table) {
  std::vector<std::string> parts;
  for (const Quintic& q : table.rows) {
    parts.push_back(concat(core::shortest(q.a), ",", core::shortest(q.b), ",",
                           core::shortest(q.c)));
  }
  if (table.safety != 1) {
    parts.push_back("safety=" + core::shortest(table.safety));
  }
  return core::join(parts, "; ");
}

std::string_view polar_coefficients_help() {
  return "a name of docs/polar.md, rows 'a,b,c; a,b,c', or "
         "'polar-express:lower=1e-3,steps=5'";
}

}  // namespace muonlab

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/study/plan_values_internal.h"

namespace muonlab::study::detail {

using formats::Json;

void wrong(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kInvalidArgument, concat(where, ": ", what));
}

void Value::wrong(const std::string& expected) const {
  detail::wrong(
      where, concat("'", key, "': got ", json.dump(), ", expected ", expected));
}

std::string Value::text() const {
  if (!json.is_string()) wrong("a text in quotes");
  return json.get<std::string>();
}

std::string Value::word(const std::vector<std::string>& words) const {
  const std::string value = text();
  if (std::find(words.begin(), words.end(), value) == words.end()) {
    wrong(core::join(words, ", "));
  }
  return value;
}

std::int64_t Value::integer(std::int64_t least) const {
  if (!json.is_number_integer() || json.get<std::int64_t>() < least) {
    wrong(concat("a whole number from ", least));
  }
  return json.get<std::int64_t>();
}

double Value::number(double least, double most) const {
  if (!json.is_number() || !(json.get<double>() >= least) ||
      !(json.get<double>() <= most)) {
    wrong(concat("a number from ", core::shortest(least), " to ",
                 core::shortest(most)));
  }
  return json.get<double>();
}

bool Value::boolean() const {
  if (!json.is_boolean()) wrong("true or false");
  return json.get<bool>();
}

std::optional<std::int64_t> Value::count_or_auto() const {
  if (json.is_string() && json.get<std::string>() == "auto") {
    return std::nullopt;
  }
  if (!json.is_number_integer() || json.get<std::int64_t>() < 1) {
    wrong("\"auto\" or a whole number from 1");
  }
  return json.get<std::int64_t>();
}

std::vector<double> Value::rates() const { return numbers(true); }

std::vector<double> Value::values() const { return numbers(false); }

std::vector<double> Value::numbers(bool above_zero) const {
  if (!json.is_array() || json.empty()) wrong("a list of numbers");
  std::vector<double> found;
  for (const Json& item : json) {
    const bool fits =
        item.is_number() && std::isfinite(item.get<double>()) &&
        (above_zero ? item.get<double>() > 0 : item.get<double>() >= 0);
    if (!fits) wrong(above_zero ? "numbers above 0" : "numbers from 0");
    found.push_back(item.get<double>());
  }
  if (std::set<double>(found.begin(), found.end()).size() != found.size()) {
    wrong("no number twice");
  }
  return found;
}

std::vector<double> Value::shares(double most) const {
  const std::vector<double> found = rates();
  if (!std::is_sorted(found.begin(), found.end()) || found.back() > most) {
    wrong(concat("numbers above 0, at most ", core::shortest(most),
                 ", the smaller first"));
  }
  return found;
}

std::vector<std::int64_t> Value::integers() const {
  if (!json.is_array()) wrong("a list of whole numbers");
  std::vector<std::int64_t> found;
  for (const Json& item : json) {
    if (!item.is_number_integer() || item.get<std::int64_t>() < 0) {
      wrong("whole numbers from 0");
    }
    found.push_back(item.get<std::int64_t>());
  }
  return found;
}

void flatten(const Json& value, const std::string& prefix,
             std::vector<std::pair<std::string, Json>>& out) {
  for (const auto& [key, item] : value.items()) {
    if (item.is_object()) {
      flatten(item, prefix + key + ".", out);
    } else {
      out.emplace_back(prefix + key, item);
    }
  }
}

void refuse_decided(const std::string& key, const std::string& where) {
  static const std::map<std::string, std::string> kDecided = {
      {"optim.rule", "each arm's 'rule'"},
      {"optim.lr", "the arms' grids"},
      {"optim.auxiliary.lr", "the arms' grids"},
      {"train.seed", "study.search_seed and study.final_seeds"},
      {"train.threads", "study.threads, or by measurement"},
      {"eval.split", "selection for the search, reporting for final seeds"},
      {"eval.every", "study.final_eval_every"}};
  const auto found = kDecided.find(key);
  if (found == kDecided.end()) return;
  wrong(where, concat("'", key, "' has no effect in a study; it is decided by ",
                      found->second));
}

void check_name(const std::string& name, const std::string& what,
                const std::string& where) {
  if (!name.empty() && name.find_first_of("/ ") == std::string::npos &&
      name.front() != '.') {
    return;
  }
  wrong(where, concat(what, ": got '", name,
                      "', expected a word without '/' or blanks that does not "
                      "begin with a dot"));
}

}  // namespace muonlab::study::detail

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "muonlab/core/text.h"
#include "muonlab/study/comparison.h"
#include "muonlab/study/search_keys_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

// A line with fewer trials shows no shape.
constexpr std::size_t kEnoughTrials = 3;

bool same_number(double a, double b) {
  return std::abs(a - b) <= 1e-12 * std::max(std::abs(a), std::abs(b));
}

// All values but that of `key`; a joint rate moves both rates.
std::vector<double> held_values(const Cell& cell, const std::string& key) {
  std::vector<double> held;
  if (key != "hidden" && key != "joint") held.push_back(cell.hidden_lr);
  if (key != "auxiliary" && key != "joint") held.push_back(cell.auxiliary_lr);
  for (const auto& [name, value] : cell.settings) {
    if (name != key) held.push_back(value);
  }
  return held;
}

}  // namespace

bool competes(const Cell& cell) {
  return cell.phase == "search" && cell.length == 1 && !cell.audit;
}

bool is_chosen(const Cell& cell, const Arm& arm) {
  if (!competes(cell) || cell.arm != arm.name) return false;
  if (!same_number(cell.hidden_lr, arm.hidden_lr) ||
      !same_number(cell.auxiliary_lr, arm.auxiliary_lr)) {
    return false;
  }
  return std::all_of(
      arm.settings.begin(), arm.settings.end(), [&](const auto& setting) {
        return same_number(key_value(cell, setting.first), setting.second);
      });
}

const Cell* chosen_trial(const Results& results, const Arm& arm) {
  for (const Cell& cell : results.cells) {
    if (is_chosen(cell, arm)) return &cell;
  }
  return nullptr;
}

bool is_rate(const std::string& key) {
  return key == "hidden" || key == "auxiliary" || key == "joint";
}

double key_value(const Cell& cell, const std::string& key) {
  if (key == "auxiliary") return cell.auxiliary_lr;
  if (is_rate(key)) return cell.hidden_lr;
  for (const auto& [name, value] : cell.settings) {
    if (name == key) return value;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

std::string key_phrase(const std::string& key) {
  return is_rate(key) ? key + " rate" : key;
}

std::string file_name(const std::string& prefix, const std::string& key) {
  std::string name = prefix + "-" + key;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '.' || c == '_'; },
      '-');
  return name;
}

std::vector<std::string> searched_keys(const Results& results) {
  std::vector<std::string> found;
  for (const Arm& arm : results.arms) {
    for (const RateSearch& search : arm.searches) {
      if (std::find(found.begin(), found.end(), search.rate) == found.end()) {
        found.push_back(search.rate);
      }
    }
  }
  static const std::vector<std::string> kRates = {"hidden", "auxiliary",
                                                  "joint"};
  std::stable_sort(found.begin(), found.end(),
                   [](const std::string& a, const std::string& b) {
                     const auto place = [](const std::string& key) {
                       return std::find(kRates.begin(), kRates.end(), key);
                     };
                     return place(a) < place(b);
                   });
  return found;
}

std::string settings_text(
    const std::vector<std::pair<std::string, double>>& settings) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : settings) {
    parts.push_back(key + " " + significant(value, 3));
  }
  return parts.empty() ? kNone : core::join(parts, ", ");
}

std::string settings_phrase(const Cell& cell, const std::string& without) {
  std::vector<std::string> parts;
  if (without.empty() || !is_rate(without)) {
    parts.push_back("rates " + rate_text(cell.hidden_lr) + " / " +
                    rate_text(cell.auxiliary_lr));
  } else if (without != "joint") {
    parts.push_back(without == "hidden"
                        ? "auxiliary rate " + rate_text(cell.auxiliary_lr)
                        : "hidden rate " + rate_text(cell.hidden_lr));
  }
  for (const auto& [key, value] : cell.settings) {
    if (key != without) parts.push_back(key + " " + significant(value, 3));
  }
  return core::join(parts, ", ");
}

std::vector<TrialLine> trial_lines(const Results& results, const Arm& arm,
                                   const std::string& key, double length) {
  std::map<std::vector<double>, TrialLine> by_held;
  for (const Cell& cell : results.cells) {
    if (cell.phase != "search" || cell.arm != arm.name ||
        cell.length != length || !counted_loss(cell) ||
        std::isnan(key_value(cell, key))) {
      continue;
    }
    std::vector<double> held = held_values(cell, key);
    TrialLine& line = by_held[held];
    line.held = std::move(held);
    line.cells.push_back(&cell);
    line.has_chosen = line.has_chosen || is_chosen(cell, arm);
  }
  std::vector<TrialLine> lines;
  for (auto& [held, line] : by_held) {
    std::sort(line.cells.begin(), line.cells.end(),
              [&](const Cell* a, const Cell* b) {
                return key_value(*a, key) < key_value(*b, key);
              });
    std::set<double> values;
    for (const Cell* cell : line.cells) values.insert(key_value(*cell, key));
    if (values.size() >= 2) lines.push_back(std::move(line));
  }
  return lines;
}

const TrialLine* main_line(const std::vector<TrialLine>& lines) {
  const TrialLine* longest = nullptr;
  for (const TrialLine& line : lines) {
    if (line.has_chosen && line.cells.size() >= kEnoughTrials) return &line;
    if (longest == nullptr || line.cells.size() > longest->cells.size()) {
      longest = &line;
    }
  }
  return longest;
}

std::vector<double> rung_lengths(const Results& results) {
  std::set<double> lengths;
  for (const Cell& cell : results.cells) {
    if (cell.phase == "search" && cell.length < 1) lengths.insert(cell.length);
  }
  return {lengths.begin(), lengths.end()};
}

}  // namespace muonlab::study::detail

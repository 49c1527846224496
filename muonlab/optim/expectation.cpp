// Compares a routing plan with what somebody expected of it.
#include <map>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/optim/plan.h"

namespace muonlab::optim {

namespace {

using formats::Json;

constexpr const char* kCompared[] = {
    "shape",  "role",  "rule",         "group",
    "blocks", "scale", "effective_lr", "effective_weight_decay"};

std::map<std::string, Json> by_name(const Json& plan, const char* key) {
  std::map<std::string, Json> rows;
  if (!plan.is_object() || !plan.contains(key) || !plan[key].is_array()) {
    throw Error(ErrorKind::kCorruptData,
                concat("expectation: has no list '", key,
                       "', expected the output of `muonlab optim route "
                       "--json`"));
  }
  for (const Json& row : plan[key]) {
    if (!row.is_object() || !row.contains("name") || !row["name"].is_string()) {
      throw Error(ErrorKind::kCorruptData,
                  concat("expectation: an item of '", key, "' has no name"));
    }
    const auto name = row["name"].get<std::string>();
    if (!rows.emplace(name, row).second) {
      throw Error(ErrorKind::kCorruptData,
                  concat("expectation: '", name, "' appears twice"));
    }
  }
  return rows;
}

void compare_row(const std::string& name, const Json& actual,
                 const Json& expected, std::vector<std::string>& lines) {
  static const std::set<std::string> kKnown = [] {
    std::set<std::string> keys(std::begin(kCompared), std::end(kCompared));
    keys.insert({"name", "scale_factor", "state_bytes", "why"});
    return keys;
  }();
  for (const auto& item : expected.items()) {
    if (kKnown.count(item.key()) == 0) {
      throw Error(
          ErrorKind::kCorruptData,
          concat("expectation: '", name, "': unknown key '", item.key(), "'"));
    }
  }
  for (const char* key : kCompared) {
    if (!expected.contains(key)) continue;
    if (actual[key] != expected[key]) {
      lines.push_back(concat("'", name, "': ", key, ": got ",
                             actual[key].dump(), ", expected ",
                             expected[key].dump()));
    }
  }
}

}  // namespace

std::vector<std::string> differences(const Plan& plan,
                                     const Json& expectation) {
  const Json ours = plan_json(plan);
  const auto actual = by_name(ours, "parameters");
  const auto expected = by_name(expectation, "parameters");
  std::vector<std::string> lines;
  for (const auto& [name, row] : expected) {
    const auto found = actual.find(name);
    if (found == actual.end()) {
      lines.push_back(concat("'", name, "': is not updated, expected ",
                             row.value("rule", std::string("a rule"))));
    } else {
      compare_row(name, found->second, row, lines);
    }
  }
  for (const auto& [name, row] : actual) {
    if (expected.count(name) == 0) {
      lines.push_back(concat("'", name, "': gets ",
                             row["rule"].get<std::string>(),
                             ", but the expectation does not have it"));
    }
  }
  if (expectation.contains("left_out")) {
    const auto here = by_name(ours, "left_out");
    const auto there = by_name(expectation, "left_out");
    for (const auto& [name, row] : there) {
      if (here.count(name) == 0) {
        lines.push_back(concat("'", name, "': expected to be left out"));
      }
    }
    for (const auto& [name, row] : here) {
      if (there.count(name) == 0) {
        lines.push_back(concat("'", name, "': is left out (",
                               row.value("why", std::string("?")),
                               "), which was not expected"));
      }
    }
  }
  return lines;
}

}  // namespace muonlab::optim

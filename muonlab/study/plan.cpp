#include "muonlab/study/plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/study/plan_values_internal.h"

namespace muonlab::study {

namespace {

using detail::refuse_decided;
using detail::Value;
using detail::wrong;
using formats::Json;

constexpr const char* kPrefix = "study.";

using Setter = void (*)(StudyPlan&, const Value&);

const std::map<std::string, Setter>& setters() {
  static const std::map<std::string, Setter> kSetters = {
      {"name", [](StudyPlan& p, const Value& v) { p.name = v.text(); }},
      {"title", [](StudyPlan& p, const Value& v) { p.title = v.text(); }},
      {"baseline", [](StudyPlan& p, const Value& v) { p.baseline = v.text(); }},
      {"report",
       [](StudyPlan& p, const Value& v) {
         p.report = v.word({"", "published-1", "published-2"});
       }},
      {"search_seed",
       [](StudyPlan& p, const Value& v) { p.search_seed = v.integer(0); }},
      {"extensions",
       [](StudyPlan& p, const Value& v) {
         p.search.extensions = v.integer(0);
       }},
      {"jobs",
       [](StudyPlan& p, const Value& v) { p.jobs = v.count_or_auto(); }},
      {"threads",
       [](StudyPlan& p, const Value& v) { p.threads = v.count_or_auto(); }},
      {"final_eval_every",
       [](StudyPlan& p, const Value& v) { p.final_eval_every = v.integer(0); }},
      {"timing_steps",
       [](StudyPlan& p, const Value& v) { p.timing_steps = v.integer(0); }},
      {"final_seeds",
       [](StudyPlan& p, const Value& v) { p.final_seeds = v.integers(); }}};
  return kSetters;
}

// Whether `name` is "TABLE.rest"; `rest` is then set.
bool below(const std::string& name, const std::string& table,
           std::string& rest) {
  if (name.rfind(table + ".", 0) != 0) return false;
  rest = name.substr(table.size() + 1);
  return true;
}

void set_study_key(StudyPlan& plan, const std::string& key, const Json& json,
                   const std::string& where) {
  const std::string name = key.substr(std::string(kPrefix).size());
  const Value value{json, where, key};
  std::string rest;
  if (below(name, "search", rest)) {
    detail::set_search_key(plan.search, rest, value);
    return;
  }
  if (below(name, "data", rest)) {
    if (!plan.recipe) plan.recipe.emplace();
    detail::set_recipe_key(*plan.recipe, rest, value);
    return;
  }
  if (name == "arms" || name == "cases") {
    wrong(where,
          concat("'", key, "': expected [[", key, "]] tables in the plan"));
  }
  const auto setter = setters().find(name);
  if (setter != setters().end()) {
    setter->second(plan, value);
    return;
  }
  std::vector<std::string> known = {"study.arms", "study.cases"};
  for (const auto& [one, ignored] : setters()) known.push_back(kPrefix + one);
  wrong(where, concat("unknown key '", key, "'", core::suggestion(key, known)));
}

void check_arm(const StudyPlan& plan, const CasePlan& one,
               const std::string& name) {
  std::vector<std::string> known;
  for (const ArmPlan& arm : plan.arms) known.push_back(arm.name);
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  wrong(plan.path.string(), concat("case '", one.name, "': no arm '", name, "'",
                                   core::suggestion(name, known)));
}

void check_cases(const StudyPlan& plan, const std::string& where) {
  std::set<std::string> names;
  for (const CasePlan& one : plan.cases) {
    if (!one.rates_from.empty() && names.count(one.rates_from) == 0) {
      const std::vector<std::string> known(names.begin(), names.end());
      wrong(where, concat("case '", one.name,
                          "': rates_from: no earlier case '", one.rates_from,
                          "'", core::suggestion(one.rates_from, known)));
    }
    if (!names.insert(one.name).second) {
      wrong(where, concat("case '", one.name, "' is given twice"));
    }
    if (!one.rates_from.empty() && !one.rates.empty()) {
      wrong(where, concat("case '", one.name,
                          "': got rates_from and rates, expected one of them"));
    }
    for (const auto& [arm, ignored] : one.rates) check_arm(plan, one, arm);
    for (const auto& [arm, ignored] : one.arms) check_arm(plan, one, arm);
  }
}

void check(const StudyPlan& plan) {
  const std::string where = plan.path.string();
  detail::check_name(plan.name, "study.name", where);
  std::set<std::string> names;
  for (const ArmPlan& arm : plan.arms) {
    if (!names.insert(arm.name).second) {
      wrong(where, concat("arm '", arm.name, "' is given twice"));
    }
  }
  if (names.count(plan.baseline) == 0) {
    const std::vector<std::string> known(names.begin(), names.end());
    wrong(where, concat("study.baseline: no arm '", plan.baseline, "'",
                        core::suggestion(plan.baseline, known)));
  }
  std::set<std::int64_t> seeds = {plan.search_seed};
  for (const std::int64_t seed : plan.final_seeds) {
    if (!seeds.insert(seed).second) {
      wrong(where, concat("study.final_seeds: got ", seed,
                          " twice or equal to the search seed; the rates are "
                          "chosen on the search seed, so final seeds must be "
                          "fresh"));
    }
  }
  if (!plan.search.rungs.empty() && plan.search.method != "grid") {
    wrong(where,
          "study.search.rungs: has no effect on method 'coordinates'; "
          "expected method = \"grid\"");
  }
  check_cases(plan, where);
}

bool is_table(const train::TomlFile::Entry& entry) {
  return (entry.key == "study.arms" || entry.key == "study.cases") &&
         entry.value.is_array();
}

// [[study.arms]] and [[study.cases]], after [study.data], which cases change.
void read_tables(StudyPlan& plan, const train::TomlFile::Entry& entry) {
  const bool arms = entry.key == "study.arms";
  for (std::size_t i = 0; i < entry.value.size(); ++i) {
    const std::string where =
        concat(plan.path.string(), ":", entry.item_lines[i]);
    if (arms) {
      plan.arms.push_back(detail::read_arm(entry.value[i], where));
    } else {
      plan.cases.push_back(
          detail::read_case(entry.value[i], plan.recipe, where));
    }
  }
}

// A typo in the settings of an arm or a case must show now, not after the
// first hour.
void check_settings(const StudyPlan& plan) {
  if (!plan.cases.empty()) {
    for (const CasePlan& one : plan.cases) {
      check_settings(plan_of_case(plan, one));
    }
    return;
  }
  for (const ArmPlan& arm : plan.arms) {
    Trial trial{.hidden = 1e-3, .auxiliary = 1e-3};
    for (const SearchedKey& key : arm.keys) {
      trial.settings.emplace_back(key.key, key.values.front());
    }
    auto config = cell_config(plan, arm, "search", plan.search_seed, trial);
    train::resolve(config);
  }
}

}  // namespace

StudyPlan read_plan(const std::filesystem::path& path,
                    const std::vector<std::string>& overrides,
                    std::int64_t scale) {
  StudyPlan plan;
  plan.path = path;
  const std::vector<train::TomlFile::Entry> entries =
      train::read_toml(path).entries;
  const bool any = std::any_of(
      entries.begin(), entries.end(),
      [](const auto& entry) { return entry.key.rfind(kPrefix, 0) == 0; });
  if (!any) {
    throw Error(ErrorKind::kInvalidArgument,
                concat(path.string(), ": has no [study] section"),
                "this is a run's configuration: use `muonlab train`");
  }
  for (const train::TomlFile::Entry& entry : entries) {
    if (entry.key.rfind(kPrefix, 0) != 0) {
      refuse_decided(entry.key, concat(path.string(), ":", entry.line));
      continue;
    }
    if (is_table(entry)) continue;
    set_study_key(plan, entry.key, entry.value,
                  concat(path.string(), ":", entry.line));
  }
  for (const train::TomlFile::Entry& entry : entries) {
    if (is_table(entry)) read_tables(plan, entry);
  }
  std::vector<std::string> run_overrides;
  for (const std::string& text : overrides) {
    if (text.rfind(kPrefix, 0) != 0) {
      refuse_decided(text.substr(0, text.find('=')), "--set");
      run_overrides.push_back(text);
      continue;
    }
    const auto equals = text.find('=');
    MUONLAB_CHECK(equals != std::string::npos, "--set: got '", text,
                  "', expected KEY=VALUE");
    const std::string value = text.substr(equals + 1);
    set_study_key(plan, text.substr(0, equals),
                  train::parse_toml_value(value).value_or(Json(value)),
                  "--set");
  }
  plan.base = train::read_run_config(path, run_overrides, "study");
  check(plan);
  detail::shrink(plan, scale);
  check_settings(plan);
  return plan;
}

}  // namespace muonlab::study

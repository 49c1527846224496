#include "muonlab/study/plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::study {

namespace {

using formats::Json;

constexpr const char* kPrefix = "study.";

[[noreturn]] void wrong(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kInvalidArgument, concat(where, ": ", what));
}

std::string text_of(const Json& value, const std::string& where,
                    const std::string& key) {
  if (!value.is_string()) {
    wrong(where, concat("'", key, "': got ", value.dump(),
                        ", expected a text in quotes"));
  }
  return value.get<std::string>();
}

std::int64_t integer_of(const Json& value, const std::string& where,
                        const std::string& key, std::int64_t least) {
  if (!value.is_number_integer() || value.get<std::int64_t>() < least) {
    wrong(where, concat("'", key, "': got ", value.dump(),
                        ", expected a whole number from ", least));
  }
  return value.get<std::int64_t>();
}

// Nothing for "auto".
std::optional<std::int64_t> count_or_auto(const Json& value,
                                          const std::string& where,
                                          const std::string& key) {
  if (value.is_string() && value.get<std::string>() == "auto") {
    return std::nullopt;
  }
  if (!value.is_number_integer() || value.get<std::int64_t>() < 1) {
    wrong(where, concat("'", key, "': got ", value.dump(),
                        ", expected \"auto\" or a whole number from 1"));
  }
  return value.get<std::int64_t>();
}

std::vector<double> rates_of(const Json& value, const std::string& where,
                             const std::string& key) {
  if (!value.is_array() || value.empty()) {
    wrong(where, concat("'", key, "': got ", value.dump(),
                        ", expected a list of rates"));
  }
  std::vector<double> rates;
  for (const Json& item : value) {
    if (!item.is_number() || !(item.get<double>() > 0)) {
      wrong(where, concat("'", key, "': got ", item.dump(),
                          ", expected rates above 0"));
    }
    rates.push_back(item.get<double>());
  }
  if (std::set<double>(rates.begin(), rates.end()).size() != rates.size()) {
    wrong(where, concat("'", key, "': got ", value.dump(),
                        ", expected no rate twice"));
  }
  return rates;
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

// Keys that a study decides itself, each with what decides it.
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

ArmPlan read_arm(const Json& table, const std::string& where) {
  static const std::vector<std::string> kKeys = {
      "name", "rule", "description", "hidden", "auxiliary", "joint", "set"};
  ArmPlan arm;
  for (const auto& [key, value] : table.items()) {
    if (key == "name") {
      arm.name = text_of(value, where, key);
    } else if (key == "rule") {
      arm.rule = text_of(value, where, key);
    } else if (key == "description") {
      arm.description = text_of(value, where, key);
    } else if (key == "hidden") {
      arm.hidden = rates_of(value, where, key);
    } else if (key == "auxiliary") {
      arm.auxiliary = rates_of(value, where, key);
    } else if (key == "joint") {
      arm.joint = rates_of(value, where, key);
    } else if (key == "set" && value.is_object()) {
      flatten(value, "", arm.settings);
      for (const auto& [setting, ignored] : arm.settings) {
        refuse_decided(setting, where);
        if (setting.rfind("optim.", 0) != 0) {
          wrong(where,
                concat("'set': got '", setting,
                       "', expected keys of [optim]: arms differ in the "
                       "optimizer alone, or nothing could be concluded"));
        }
      }
    } else {
      wrong(where, concat("unknown key '", key, "' of an arm",
                          core::suggestion(key, kKeys)));
    }
  }
  if (arm.name.empty() || arm.name.find_first_of("/ ") != std::string::npos) {
    wrong(where, concat("an arm's name: got '", arm.name,
                        "', expected a word without '/' or blanks"));
  }
  if (arm.is_joint() ? !arm.hidden.empty() || !arm.auxiliary.empty()
                     : arm.hidden.empty() || arm.auxiliary.empty()) {
    wrong(where, concat("arm '", arm.name,
                        "': expected either 'joint', or both 'hidden' and "
                        "'auxiliary'"));
  }
  std::sort(arm.hidden.begin(), arm.hidden.end());
  std::sort(arm.joint.begin(), arm.joint.end());
  return arm;
}

void set_study_key(StudyPlan& plan, const std::string& key, const Json& value,
                   const std::string& where) {
  static const std::vector<std::string> kKeys = {
      "study.name",         "study.title",
      "study.baseline",     "study.search_seed",
      "study.final_seeds",  "study.extensions",
      "study.jobs",         "study.threads",
      "study.timing_steps", "study.final_eval_every",
      "study.arms"};
  const std::string name = key.substr(std::string(kPrefix).size());
  if (name == "name") {
    plan.name = text_of(value, where, key);
  } else if (name == "title") {
    plan.title = text_of(value, where, key);
  } else if (name == "baseline") {
    plan.baseline = text_of(value, where, key);
  } else if (name == "search_seed") {
    plan.search_seed = integer_of(value, where, key, 0);
  } else if (name == "extensions") {
    plan.extensions = integer_of(value, where, key, 0);
  } else if (name == "jobs") {
    plan.jobs = count_or_auto(value, where, key);
  } else if (name == "threads") {
    plan.threads = count_or_auto(value, where, key);
  } else if (name == "final_eval_every") {
    plan.final_eval_every = integer_of(value, where, key, 0);
  } else if (name == "timing_steps") {
    plan.timing_steps = integer_of(value, where, key, 0);
  } else if (name == "final_seeds") {
    if (!value.is_array()) {
      wrong(where, concat("'", key, "': got ", value.dump(),
                          ", expected a list of whole numbers"));
    }
    plan.final_seeds.clear();
    for (const Json& seed : value) {
      plan.final_seeds.push_back(integer_of(seed, where, key, 0));
    }
  } else if (name == "arms") {
    wrong(where, "'study.arms': expected [[study.arms]] tables in the plan");
  } else {
    wrong(where,
          concat("unknown key '", key, "'", core::suggestion(key, kKeys)));
  }
}

void check(const StudyPlan& plan) {
  const std::string where = plan.path.string();
  if (plan.name.empty() || plan.name.front() == '.' ||
      plan.name.find_first_of("/ ") != std::string::npos) {
    wrong(
        where,
        concat(
            "study.name: got '", plan.name,
            "', expected a word without '/' or blanks that does not begin with "
            "a dot"));
  }
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
}

}  // namespace

StudyPlan read_plan(const std::filesystem::path& path,
                    const std::vector<std::string>& overrides) {
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
    if (entry.key == "study.arms" && entry.value.is_array()) {
      for (std::size_t i = 0; i < entry.value.size(); ++i) {
        plan.arms.push_back(read_arm(
            entry.value[i], concat(path.string(), ":", entry.item_lines[i])));
      }
      continue;
    }
    set_study_key(plan, entry.key, entry.value,
                  concat(path.string(), ":", entry.line));
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
  // A typo in an arm's settings must show now, not after the first hour.
  for (const ArmPlan& arm : plan.arms) {
    auto config =
        cell_config(plan, arm, "search", plan.search_seed, {1e-3, 1e-3});
    train::resolve(config);
  }
  return plan;
}

}  // namespace muonlab::study

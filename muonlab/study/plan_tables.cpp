// The tables of a plan: [[study.arms]], [[study.cases]], [study.search],
// [study.data].
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/study/plan_values_internal.h"

namespace muonlab::study::detail {

namespace {

using formats::Json;
using Settings = std::vector<std::pair<std::string, Json>>;

template <typename Target>
using Readers =
    std::map<std::string, std::function<void(Target&, const Value&)>>;

template <typename Target>
void set_key(Target& target, const Readers<Target>& readers,
             const std::string& name, const Value& value,
             const std::string& what) {
  const auto reader = readers.find(name);
  if (reader != readers.end()) {
    reader->second(target, value);
    return;
  }
  std::vector<std::string> known;
  for (const auto& [one, ignored] : readers) known.push_back(one);
  wrong(value.where, concat("unknown key '", name, "' of ", what,
                            core::suggestion(name, known)));
}

Settings settings_of(const Value& value) {
  if (!value.json.is_object()) value.wrong("a table of dotted keys");
  Settings settings;
  flatten(value.json, "", settings);
  for (const auto& [key, ignored] : settings) refuse_decided(key, value.where);
  return settings;
}

Settings arm_settings(const Value& value) {
  Settings settings = settings_of(value);
  for (const auto& [key, ignored] : settings) {
    if (key.rfind("optim.", 0) == 0) continue;
    wrong(value.where,
          concat("'set': got '", key,
                 "', expected keys of [optim]: arms differ in the "
                 "optimizer alone, or nothing could be concluded"));
  }
  return settings;
}

std::vector<SearchedKey> searched_keys(const Value& value) {
  Settings settings = arm_settings(value);
  std::vector<SearchedKey> keys;
  for (const auto& [key, list] : settings) {
    keys.push_back({key, Value{list, value.where, key}.values()});
  }
  return keys;
}

// { muon = [0.01, 0.001] }: hidden and auxiliary rate.
std::vector<std::pair<std::string, std::pair<double, double>>> given_rates(
    const Value& value) {
  if (!value.json.is_object()) value.wrong("a table of arms");
  std::vector<std::pair<std::string, std::pair<double, double>>> all;
  for (const auto& [arm, list] : value.json.items()) {
    const bool pair = list.is_array() && list.size() == 2 &&
                      list[0].is_number() && list[1].is_number() &&
                      list[0].get<double>() > 0 && list[1].get<double>() > 0;
    if (!pair) {
      Value{list, value.where, concat("rates.", arm)}.wrong(
          "a hidden and an auxiliary rate above 0");
    }
    all.push_back({arm, {list[0].get<double>(), list[1].get<double>()}});
  }
  return all;
}

void check_arm(const ArmPlan& arm, const std::string& where) {
  check_name(arm.name, "an arm's name", where);
  if (arm.is_joint() ? !arm.hidden.empty() || !arm.auxiliary.empty()
                     : arm.hidden.empty() || arm.auxiliary.empty()) {
    wrong(where, concat("arm '", arm.name,
                        "': expected either 'joint', or both 'hidden' and "
                        "'auxiliary'"));
  }
  if (!arm.is_joint() && arm.auxiliary_ratio != 1) {
    wrong(where, concat("arm '", arm.name,
                        "': 'auxiliary_ratio' belongs to a 'joint' rate"));
  }
}

}  // namespace

ArmPlan read_arm(const Json& table, const std::string& where) {
  static const Readers<ArmPlan> kReaders = {
      {"name", [](ArmPlan& a, const Value& v) { a.name = v.text(); }},
      {"rule", [](ArmPlan& a, const Value& v) { a.rule = v.text(); }},
      {"description",
       [](ArmPlan& a, const Value& v) { a.description = v.text(); }},
      {"hidden", [](ArmPlan& a, const Value& v) { a.hidden = v.rates(); }},
      {"auxiliary",
       [](ArmPlan& a, const Value& v) { a.auxiliary = v.rates(); }},
      {"joint", [](ArmPlan& a, const Value& v) { a.joint = v.rates(); }},
      {"auxiliary_ratio",
       [](ArmPlan& a, const Value& v) {
         a.auxiliary_ratio = v.number(1e-6, 1e6);
       }},
      {"width_corrected",
       [](ArmPlan& a, const Value& v) { a.width_corrected = v.boolean(); }},
      {"only_scaled",
       [](ArmPlan& a, const Value& v) { a.only_scaled = v.boolean(); }},
      {"search", [](ArmPlan& a, const Value& v) { a.keys = searched_keys(v); }},
      {"set", [](ArmPlan& a, const Value& v) { a.settings = arm_settings(v); }},
  };
  ArmPlan arm;
  for (const auto& [key, value] : table.items()) {
    set_key(arm, kReaders, key, Value{value, where, key}, "an arm");
  }
  check_arm(arm, where);
  std::sort(arm.hidden.begin(), arm.hidden.end());
  std::sort(arm.joint.begin(), arm.joint.end());
  return arm;
}

CasePlan read_case(const Json& table, const std::optional<DataRecipe>& recipe,
                   const std::string& where) {
  static const Readers<CasePlan> kReaders = {
      {"name", [](CasePlan& c, const Value& v) { c.name = v.text(); }},
      {"title", [](CasePlan& c, const Value& v) { c.title = v.text(); }},
      {"rates_from",
       [](CasePlan& c, const Value& v) { c.rates_from = v.text(); }},
      {"horizons",
       [](CasePlan& c, const Value& v) { c.horizons = v.shares(100); }},
      {"rates", [](CasePlan& c, const Value& v) { c.rates = given_rates(v); }},
      {"arms",
       [](CasePlan& c, const Value& v) {
         if (!v.json.is_object()) v.wrong("a table of arms");
         for (const auto& [arm, keys] : v.json.items()) {
           c.arms.emplace_back(
               arm, arm_settings(Value{keys, v.where, concat("arms.", arm)}));
         }
       }},
      {"data",
       [](CasePlan& c, const Value& v) {
         if (!v.json.is_object()) v.wrong("a table of keys of [study.data]");
         if (!c.recipe) c.recipe.emplace();
         for (const auto& [key, value] : v.json.items()) {
           set_recipe_key(*c.recipe, key, Value{value, v.where, key});
         }
       }},
      {"set", [](CasePlan& c, const Value& v) { c.settings = settings_of(v); }},
  };
  CasePlan one;
  one.recipe = recipe;
  for (const auto& [key, value] : table.items()) {
    set_key(one, kReaders, key, Value{value, where, key}, "a case");
  }
  check_name(one.name, "a case's name", where);
  if (one.title.empty()) one.title = one.name;
  return one;
}

void set_search_key(SearchPlan& search, const std::string& name,
                    const Value& value) {
  static const Readers<SearchPlan> kReaders = {
      {"method",
       [](SearchPlan& s, const Value& v) {
         s.method = v.word({"coordinates", "grid"});
       }},
      {"extensions",
       [](SearchPlan& s, const Value& v) { s.extensions = v.integer(0); }},
      {"threshold",
       [](SearchPlan& s, const Value& v) { s.threshold = v.number(0, 100); }},
      {"passes",
       [](SearchPlan& s, const Value& v) { s.passes = v.integer(1); }},
      {"rungs",
       [](SearchPlan& s, const Value& v) { s.rungs = v.shares(0.999); }},
      {"keep",
       [](SearchPlan& s, const Value& v) { s.keep = v.number(0.01, 0.99); }},
      {"audit", [](SearchPlan& s, const Value& v) { s.audit = v.integer(0); }},
  };
  set_key(search, kReaders, name, value, "study.search");
}

void set_recipe_key(DataRecipe& recipe, const std::string& name,
                    const Value& value) {
  using R = DataRecipe;
  static const Readers<R> kReaders = {
      {"corpus", [](R& r, const Value& v) { r.corpus = v.text(); }},
      {"tokenizer", [](R& r, const Value& v) { r.tokenizer = v.text(); }},
      {"vocabulary", [](R& r, const Value& v) { r.vocabulary = v.integer(1); }},
      {"documents", [](R& r, const Value& v) { r.documents = v.integer(0); }},
      {"characters", [](R& r, const Value& v) { r.characters = v.integer(0); }},
      {"tokens", [](R& r, const Value& v) { r.tokens = v.integer(0); }},
      {"separator", [](R& r, const Value& v) { r.separator = v.boolean(); }},
      {"held_out",
       [](R& r, const Value& v) { r.held_out = v.number(0.001, 0.999); }},
      {"split",
       [](R& r, const Value& v) {
         r.split = v.word({"documents", "windows"});
       }},
  };
  set_key(recipe, kReaders, name, value, "study.data");
}

}  // namespace muonlab::study::detail

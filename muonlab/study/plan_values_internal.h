// Values of a plan's tables, each checked where it stands. All throw
// Error(kInvalidArgument) with `where`: file and line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "muonlab/formats/json.h"
#include "muonlab/study/plan.h"

namespace muonlab::study::detail {

/// One value of a plan, with what an error says of it.
struct Value {
  const formats::Json& json;
  std::string where;  ///< file and line
  std::string key;

  [[noreturn]] void wrong(const std::string& expected) const;
  [[nodiscard]] std::string text() const;
  /// One of `words`.
  [[nodiscard]] std::string word(const std::vector<std::string>& words) const;
  [[nodiscard]] std::int64_t integer(std::int64_t least) const;
  [[nodiscard]] double number(double least, double most) const;
  [[nodiscard]] bool boolean() const;
  /// Nothing for "auto".
  [[nodiscard]] std::optional<std::int64_t> count_or_auto() const;
  [[nodiscard]] std::vector<double> rates() const;   ///< above 0, none twice
  [[nodiscard]] std::vector<double> values() const;  ///< from 0, none twice
  [[nodiscard]] std::vector<double> shares(double most) const;  ///< ascending
  [[nodiscard]] std::vector<std::int64_t> integers() const;     ///< from 0

 private:
  [[nodiscard]] std::vector<double> numbers(bool above_zero) const;
};

[[noreturn]] void wrong(const std::string& where, const std::string& what);
/// Nested tables as dotted keys.
void flatten(const formats::Json& value, const std::string& prefix,
             std::vector<std::pair<std::string, formats::Json>>& out);
/// Keys of a run that a study decides itself.
void refuse_decided(const std::string& key, const std::string& where);
/// A name that can be part of a path.
void check_name(const std::string& name, const std::string& what,
                const std::string& where);

[[nodiscard]] ArmPlan read_arm(const formats::Json& table,
                               const std::string& where);
/// `recipe` is the study's, which a case's `data` changes.
[[nodiscard]] CasePlan read_case(const formats::Json& table,
                                 const std::optional<DataRecipe>& recipe,
                                 const std::string& where);
/// One key below "study.search." or "study.data.".
void set_search_key(SearchPlan& search, const std::string& name,
                    const Value& value);
void set_recipe_key(DataRecipe& recipe, const std::string& name,
                    const Value& value);

/// Makes the plan `scale` times smaller.
void shrink(StudyPlan& plan, std::int64_t scale);

}  // namespace muonlab::study::detail

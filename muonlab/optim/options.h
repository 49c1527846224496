// One table of options per rule: parser, defaults, ranges, help and printing
// all come from it, so they cannot drift apart.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "muonlab/formats/json.h"
#include "muonlab/optim/rule.h"

namespace muonlab::optim {

using OptionValue = std::variant<bool, std::int64_t, double, std::string>;
using OptionMap = std::map<std::string, OptionValue>;

/// A value of the kind that its type says: a flag, a whole number, a number or
/// a word.
template <typename Value>
[[nodiscard]] OptionValue option_value(const Value& value) {
  if constexpr (std::is_same_v<Value, OptionValue>) {
    return value;
  } else if constexpr (std::is_same_v<Value, bool>) {
    return OptionValue(value);
  } else if constexpr (std::is_integral_v<Value>) {
    return OptionValue(static_cast<std::int64_t>(value));
  } else if constexpr (std::is_floating_point_v<Value>) {
    return OptionValue(static_cast<double>(value));
  } else {
    return OptionValue(std::string(value));
  }
}

enum class OptionKind { kNumber, kInteger, kFlag, kWord };

/// One option of one rule, tied to the rule that options_of() was called with.
struct Option {
  std::string name;
  OptionKind kind = OptionKind::kNumber;
  std::string range;  ///< "[0, 1)", "true or false", "ema, heavy-ball"
  std::string about;
  /// False where the other options leave it without effect (a second moment's
  /// decay where there is no second moment).
  bool applies = true;
  std::function<OptionValue()> get;
  /// Throws Error(kInvalidArgument) on a value of another kind or an unknown
  /// name; `who` begins the message. Ranges are validate_rule's business.
  std::function<void(const OptionValue& value, std::string_view who)> set;
  /// Throws Error(kInvalidArgument) when the value is outside its range.
  std::function<void(std::string_view who)> check;
};

/// In the order of the pipeline. The rule must outlive the table.
[[nodiscard]] std::vector<Option> options_of(UpdateRule& rule);

/// Sets what is named and nothing else, in any order. `prefix` ("optim.",
/// "group x: ") stands before an option's name in messages. Throws
/// Error(kInvalidArgument): an option that the rule does not have (nearest
/// name suggested), that the other options leave without effect, or a value
/// out of range; the rule is unchanged then.
void set_options(UpdateRule& rule, const OptionMap& values,
                 std::string_view prefix);

/// The values of all options that apply.
[[nodiscard]] OptionMap option_values(const UpdateRule& rule);

/// Throws Error(kInvalidArgument) naming option, value and range, also on
/// options that contradict each other.
void validate_rule(const UpdateRule& rule, std::string_view who);

/// Every option name of every rule, without repetition.
[[nodiscard]] const std::vector<std::string>& option_names();
/// Its kind and what it is, as the first rule that has it says.
struct OptionHelp {
  OptionKind kind = OptionKind::kNumber;
  std::string about;
};
[[nodiscard]] OptionHelp option_help(std::string_view name);

[[nodiscard]] std::string option_text(const OptionValue& value);
[[nodiscard]] formats::Json option_json(const OptionValue& value);
/// Throws Error(kInvalidArgument) on null, arrays and objects.
[[nodiscard]] OptionValue option_from_json(const formats::Json& value,
                                           std::string_view who);

}  // namespace muonlab::optim

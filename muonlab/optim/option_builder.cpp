#include <algorithm>
#include <cmath>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/optim/option_builder_internal.h"

namespace muonlab::optim {

namespace {

[[noreturn]] void wrong_kind(const OptionValue& value, std::string_view who,
                             std::string_view expected) {
  throw Error(
      ErrorKind::kInvalidArgument,
      concat(who, ": got ", option_text(value), ", expected ", expected));
}

double number_of(const OptionValue& value, std::string_view who) {
  if (const auto* d = std::get_if<double>(&value)) return *d;
  if (const auto* i = std::get_if<std::int64_t>(&value)) {
    return static_cast<double>(*i);
  }
  // JSON has no infinity: it comes as a word.
  if (const auto* s = std::get_if<std::string>(&value); s && *s == "inf") {
    return kInfinity;
  }
  wrong_kind(value, who, "a number");
}

std::int64_t integer_of(const OptionValue& value, std::string_view who) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) return *i;
  if (const auto* d = std::get_if<double>(&value)) {
    if (std::nearbyint(*d) == *d && std::abs(*d) < 0x1p53) {
      return static_cast<std::int64_t>(*d);
    }
  }
  wrong_kind(value, who, "a whole number");
}

std::string range_text(const Range& r) {
  return concat(r.low_open ? "(" : "[", core::shortest(r.low), ", ",
                core::shortest(r.high), r.high_open ? ")" : "]");
}

bool inside(double value, const Range& r) {
  // Written so that NaN fails.
  return (r.low_open ? value > r.low : value >= r.low) &&
         (r.high_open ? value < r.high : value <= r.high);
}

}  // namespace

Option& OptionBuilder::add(const char* name, OptionKind kind, const char* about,
                           bool applies) {
  Option option;
  option.name = name;
  option.kind = kind;
  option.about = about;
  option.applies = applies;
  option.check = [](std::string_view) {};
  options_.push_back(std::move(option));
  return options_.back();
}

std::string OptionBuilder::word_of(const OptionValue& value,
                                   std::string_view who) {
  if (const auto* s = std::get_if<std::string>(&value)) return *s;
  wrong_kind(value, who, "a word");
}

void OptionBuilder::number(const char* name, double* target, const Range& range,
                           const char* about, bool applies) {
  Option& option = add(name, OptionKind::kNumber, about, applies);
  option.range = range_text(range);
  option.get = [=] { return OptionValue(*target); };
  option.set = [=](const OptionValue& value, std::string_view who) {
    *target = number_of(value, who);
  };
  option.check = [=](std::string_view who) {
    MUONLAB_CHECK(inside(*target, range), who, ": got ",
                  core::shortest(*target), ", expected a number in ",
                  range_text(range));
  };
}

void OptionBuilder::integer(const char* name, std::int64_t* target,
                            std::int64_t low, std::int64_t high,
                            const char* about, bool applies) {
  Option& option = add(name, OptionKind::kInteger, about, applies);
  option.range =
      high == kLargest ? concat(low, " or more") : concat(low, " to ", high);
  option.get = [=] { return OptionValue(*target); };
  option.set = [=](const OptionValue& value, std::string_view who) {
    *target = integer_of(value, who);
  };
  option.check = [=, range = option.range](std::string_view who) {
    MUONLAB_CHECK(*target >= low && *target <= high, who, ": got ", *target,
                  ", expected ", range);
  };
}

void OptionBuilder::integer(const char* name, int* target, int low, int high,
                            const char* about, bool applies) {
  Option& option = add(name, OptionKind::kInteger, about, applies);
  option.range = concat(low, " to ", high);
  option.get = [=] { return OptionValue(std::int64_t{*target}); };
  option.set = [=](const OptionValue& value, std::string_view who) {
    // Out of int's range is out of the option's range too.
    *target = static_cast<int>(std::clamp<std::int64_t>(
        integer_of(value, who), std::numeric_limits<int>::min(),
        std::numeric_limits<int>::max()));
  };
  option.check = [=, range = option.range](std::string_view who) {
    MUONLAB_CHECK(*target >= low && *target <= high, who, ": got ", *target,
                  ", expected ", range);
  };
}

void OptionBuilder::flag(const char* name, bool* target, const char* about,
                         bool applies) {
  Option& option = add(name, OptionKind::kFlag, about, applies);
  option.range = "true or false";
  option.get = [=] { return OptionValue(*target); };
  option.set = [=](const OptionValue& value, std::string_view who) {
    const bool* b = std::get_if<bool>(&value);
    if (b == nullptr) wrong_kind(value, who, "true or false");
    *target = *b;
  };
}

void OptionBuilder::word(const char* name, std::string* target,
                         const std::vector<std::string>& choices,
                         const char* about, bool applies) {
  Option& option = add(name, OptionKind::kWord, about, applies);
  option.range = core::join(choices, ", ");
  option.get = [=] { return OptionValue(*target); };
  option.set = [=](const OptionValue& value, std::string_view who) {
    *target = word_of(value, who);
  };
  option.check = [=](std::string_view who) {
    MUONLAB_CHECK(
        std::find(choices.begin(), choices.end(), *target) != choices.end(),
        who, ": got '", *target, "'", core::suggestion(*target, choices));
  };
}

void OptionBuilder::text(const char* name, std::string* target,
                         std::string range,
                         std::function<void(const std::string&)> parse,
                         const char* about, bool applies) {
  Option& option = add(name, OptionKind::kWord, about, applies);
  option.range = std::move(range);
  option.get = [=] { return OptionValue(*target); };
  option.set = [=](const OptionValue& value, std::string_view who) {
    *target = word_of(value, who);
  };
  option.check = [=, parse = std::move(parse)](std::string_view who) {
    try {
      parse(*target);
    } catch (const Error& error) {
      throw Error(error.kind(), concat(who, ": ", error.what()), error.hint());
    }
  };
}

std::string option_text(const OptionValue& value) {
  if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<std::int64_t>(&value)) {
    return std::to_string(*i);
  }
  if (const auto* d = std::get_if<double>(&value)) return core::shortest(*d);
  return std::get<std::string>(value);
}

formats::Json option_json(const OptionValue& value) {
  if (const auto* d = std::get_if<double>(&value)) {
    return formats::json_number(*d);
  }
  return std::visit([](const auto& v) { return formats::Json(v); }, value);
}

OptionValue option_from_json(const formats::Json& value, std::string_view who) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  throw Error(ErrorKind::kInvalidArgument,
              concat(who, ": got ", value.dump(),
                     ", expected a number, a word, true or false"));
}

}  // namespace muonlab::optim

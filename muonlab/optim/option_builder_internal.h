// Makes the entries of an option table: one line per option in options.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "muonlab/optim/options.h"

namespace muonlab::optim {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr std::int64_t kLargest =
    std::numeric_limits<std::int64_t>::max();

struct Range {
  double low;
  double high;
  bool low_open;
  bool high_open;
};
inline constexpr Range kShare = {0, 1, false, true};
inline constexpr Range kPositive = {0, kInfinity, true, true};
inline constexpr Range kNotNegative = {0, kInfinity, false, true};
inline constexpr Range kPositiveBelowOne = {0, 1, true, true};

class OptionBuilder {
 public:
  void number(const char* name, double* target, const Range& range,
              const char* about, bool applies = true);
  void integer(const char* name, std::int64_t* target, std::int64_t low,
               std::int64_t high, const char* about, bool applies = true);
  void integer(const char* name, int* target, int low, int high,
               const char* about, bool applies = true);
  void flag(const char* name, bool* target, const char* about,
            bool applies = true);
  void word(const char* name, std::string* target,
            const std::vector<std::string>& choices, const char* about,
            bool applies = true);
  /// Free text; `parse` throws Error on what it cannot read.
  void text(const char* name, std::string* target, std::string range,
            std::function<void(const std::string&)> parse, const char* about,
            bool applies = true);

  template <typename E>
  void choice(const char* name, E* target,
              std::span<const core::Named<E>> table, const char* about,
              bool applies = true) {
    Option& option = add(name, OptionKind::kWord, about, applies);
    option.range = core::join(core::names_in(table), ", ");
    option.get = [=] {
      return OptionValue(std::string(core::name_in(table, *target)));
    };
    option.set = [=](const OptionValue& value, std::string_view who) {
      *target = core::value_in(table, word_of(value, who), who);
    };
  }

  [[nodiscard]] std::vector<Option> take() { return std::move(options_); }

 private:
  Option& add(const char* name, OptionKind kind, const char* about,
              bool applies);
  static std::string word_of(const OptionValue& value, std::string_view who);

  std::vector<Option> options_;
};

}  // namespace muonlab::optim

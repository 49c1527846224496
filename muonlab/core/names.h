// Names of enumerators: one table serves parser, printer and error message.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::core {

/// An enumerator and what users call it. A value may have several names; the
/// first is the one that is printed.
template <typename E>
struct Named {
  E value;
  std::string_view name;
};

template <typename E>
[[nodiscard]] std::vector<std::string> names_in(
    std::span<const Named<E>> table) {
  std::vector<std::string> names;
  for (const Named<E>& entry : table) names.emplace_back(entry.name);
  return names;
}

template <typename E>
[[nodiscard]] std::string_view name_in(std::span<const Named<E>> table,
                                       E value) {
  for (const Named<E>& entry : table) {
    if (entry.value == value) return entry.name;
  }
  return "?";
}

/// Throws Error(kInvalidArgument) on another name, with the nearest one; `who`
/// begins the message.
template <typename E>
[[nodiscard]] E value_in(std::span<const Named<E>> table, std::string_view name,
                         std::string_view who) {
  for (const Named<E>& entry : table) {
    if (entry.name == name) return entry.value;
  }
  throw Error(
      ErrorKind::kInvalidArgument,
      concat(who, ": got '", name, "'", suggestion(name, names_in(table))));
}

}  // namespace muonlab::core

#include "muonlab/train/fields.h"

#include <type_traits>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::train {

namespace {

using formats::Json;

template <typename T>
struct Unwrapped {
  using Type = T;
};
template <typename T>
struct Unwrapped<std::optional<T>> {
  using Type = T;
};

[[noreturn]] void wrong_type(std::string_view where, std::string_view key,
                             const Json& value, std::string_view expected) {
  throw Error(ErrorKind::kInvalidArgument,
              concat(where, ": '", key, "': got ", value.dump(), ", expected ",
                     expected));
}

template <typename Value>
Value converted(std::string_view where, std::string_view key,
                const Json& value) {
  if constexpr (std::is_same_v<Value, bool>) {
    if (!value.is_boolean()) wrong_type(where, key, value, "true or false");
    return value.get<bool>();
  } else if constexpr (std::is_same_v<Value, std::int64_t>) {
    if (!value.is_number_integer()) {
      wrong_type(where, key, value, "a whole number");
    }
    return value.get<std::int64_t>();
  } else if constexpr (std::is_same_v<Value, double>) {
    if (!value.is_number()) wrong_type(where, key, value, "a number");
    return value.get<double>();
  } else {
    if (!value.is_string()) wrong_type(where, key, value, "a text in quotes");
    return value.get<std::string>();
  }
}

template <typename Value>
Json shown(const Value& value) {
  if constexpr (std::is_same_v<Value, double>) {
    return formats::json_number(value);
  } else {
    return value;
  }
}

// The field's value as JSON; null when it is not set.
Json current(const Fields::Target& target) {
  return std::visit(
      [](const auto* pointer) -> Json {
        using Held = std::remove_cv_t<std::remove_pointer_t<decltype(pointer)>>;
        if constexpr (std::is_same_v<Held, typename Unwrapped<Held>::Type>) {
          return shown(*pointer);
        } else {
          return pointer->has_value() ? shown(**pointer) : Json();
        }
      },
      target);
}

std::string toml_text(const Json& value) {
  // TOML floats need a point or an exponent; non-finite ones are bare words.
  if (value.is_number_float()) {
    std::string text = core::shortest(value.get<double>());
    if (text.find_first_of(".en") == std::string::npos) text += ".0";
    return text;
  }
  return value.dump();
}

}  // namespace

void Fields::add(std::string key, Target target, std::string about) {
  fields_.push_back({std::move(key), target, std::move(about)});
}

std::vector<std::string> Fields::keys() const {
  std::vector<std::string> names;
  for (const Field& field : fields_) names.push_back(field.key);
  return names;
}

void Fields::set(std::string_view key, const Json& value,
                 std::string_view where) {
  for (Field& field : fields_) {
    if (field.key != key) continue;
    std::visit(
        [&](auto* pointer) {
          using Held = std::remove_pointer_t<decltype(pointer)>;
          *pointer =
              converted<typename Unwrapped<Held>::Type>(where, key, value);
        },
        field.target);
    return;
  }
  throw Error(
      ErrorKind::kInvalidArgument,
      concat(where, ": unknown key '", key, "'", core::suggestion(key, keys())),
      "`muonlab train --help` lists every key with its meaning");
}

void Fields::set_override(std::string_view assignment) {
  const auto equals = assignment.find('=');
  MUONLAB_CHECK(equals != std::string_view::npos && equals > 0, "--set: got '",
                assignment, "', expected KEY=VALUE");
  const std::string_view text = assignment.substr(equals + 1);
  const auto value = parse_toml_value(text);
  set(assignment.substr(0, equals), value.value_or(Json(std::string(text))),
      "--set");
}

Json Fields::to_json() const {
  Json root = Json::object();
  for (const Field& field : fields_) {
    const Json value = current(field.target);
    if (value.is_null()) continue;
    Json* place = &root;
    std::string_view rest = field.key;
    for (auto dot = rest.find('.'); dot != std::string_view::npos;
         dot = rest.find('.')) {
      place = &(*place)[std::string(rest.substr(0, dot))];
      rest.remove_prefix(dot + 1);
    }
    (*place)[std::string(rest)] = value;
  }
  return root;
}

std::string Fields::to_toml(bool comments) const {
  std::string text;
  std::string section;
  for (const Field& field : fields_) {
    const Json value = current(field.target);
    const auto dot = field.key.rfind('.');
    const std::string name = field.key.substr(0, dot);
    if (name != section) {
      text += concat(text.empty() ? "" : "\n", "[", name, "]\n");
      section = name;
    }
    if (value.is_null() && !comments) continue;
    std::string line = field.key.substr(dot + 1) + " = ";
    line +=
        value.is_null() ? std::string("(the rule's own)") : toml_text(value);
    if (value.is_null()) line.insert(0, "# ");
    if (comments) {
      line.resize(std::max<std::size_t>(line.size() + 2, 40), ' ');
      line += "# " + field.about;
    }
    text += line + "\n";
  }
  return text;
}

}  // namespace muonlab::train

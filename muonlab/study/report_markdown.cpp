// The report as GitHub-flavoured Markdown.
#include <algorithm>
#include <cctype>
#include <string_view>

#include "muonlab/core/text.h"
#include "muonlab/study/document_internal.h"

namespace muonlab::study::detail {

namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

// Plain text whose characters must not become markup; one line.
std::string escaped(std::string_view text) {
  static constexpr std::string_view kSpecial = "\\`*[]|~$";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool inside_word = i > 0 && i + 1 < text.size() &&
                             is_word(text[i - 1]) && is_word(text[i + 1]);
    if (c == '\n' || c == '\r') {
      out += ' ';
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '&') {
      out += "&amp;";
    } else if (kSpecial.find(c) != std::string_view::npos ||
               (c == '_' && !inside_word)) {
      out += '\\';
      out += c;
    } else {
      out += c;
    }
  }
  return out;
}

class Renderer {
 public:
  void operator()(const Paragraph& block) {
    out_ += escaped(block.text) + "\n\n";
  }

  void operator()(const Subheading& block) {
    out_ += "### " + escaped(block.text) + "\n\n";
  }

  void operator()(const Bullets& block) {
    for (const Bullets::Item& item : block.items) {
      out_ += "- ";
      if (!item.label.empty()) out_ += "**" + escaped(item.label) + ":** ";
      out_ += escaped(item.text) + "\n";
    }
    out_ += "\n";
  }

  void operator()(const Table& block) {
    row(block.heading);
    out_ += "|";
    for (std::size_t i = 0; i < block.heading.size(); ++i) {
      out_ += i < block.text_columns ? " --- |" : " ---: |";
    }
    out_ += "\n";
    for (std::size_t i = 0; i < block.rows.size(); ++i) {
      row(block.rows[i], i < block.links.size() ? block.links[i] : "");
    }
    out_ += "\n";
  }

  void operator()(const Code& block) {
    // Longer than any run of backticks inside.
    std::size_t longest = 2;
    for (const std::string& line : block.lines) {
      std::size_t run = 0;
      for (const char c : line) {
        run = c == '`' ? run + 1 : 0;
        longest = std::max(longest, run);
      }
    }
    const std::string fence(longest + 1, '`');
    out_ +=
        fence + "sh\n" + core::join(block.lines, "\n") + "\n" + fence + "\n\n";
  }

  void operator()(const FigureBlock& block) {
    const Figure& figure = block.figure;
    out_ += "**Figure " + std::to_string(block.number) + ". " +
            escaped(figure.title) + ".** " + escaped(figure.caption) +
            " Drawn in report.html from ";
    std::vector<std::string> files;
    if (figure.panels.empty()) files.push_back(figure.name);
    for (const Figure& panel : figure.panels) files.push_back(panel.name);
    for (std::string& name : files) {
      name = "[plots/" + name + ".vl.json](plots/" + name + ".vl.json)";
    }
    out_ += core::join(files, ", ") + ".\n\n";
  }

  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  // `link`: the address behind the first cell; empty: none.
  void row(const std::vector<std::string>& cells,
           const std::string& link = "") {
    out_ += "|";
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const bool linked = i == 0 && !link.empty();
      out_ += linked ? " [" + escaped(cells[i]) + "](" + link + ") |"
                     : " " + escaped(cells[i]) + " |";
    }
    out_ += "\n";
  }

  std::string out_;
};

}  // namespace

std::string render_markdown(const Document& document) {
  std::string text = "# " + escaped(document.title) + "\n\n" +
                     escaped(document.question) + "\n\n> **" +
                     escaped(document.verdict.sentence) + "**\n\n";
  Renderer renderer;
  for (const std::string& remark : document.verdict.remarks) {
    renderer(Paragraph{remark});
  }
  text += renderer.take();
  for (const Section& section : document.sections) {
    text += "## " + escaped(section.title) + "\n\n";
    Renderer part;
    for (const Block& block : section.blocks) std::visit(part, block);
    text += part.take();
  }
  while (text.ends_with("\n\n")) text.pop_back();
  return text;
}

}  // namespace muonlab::study::detail

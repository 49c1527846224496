// The report as one HTML file without external resources.
#include <string_view>

#include "muonlab/core/text.h"
#include "muonlab/study/document_internal.h"
#include "muonlab/study/report_style_internal.h"

namespace muonlab::study::detail {

namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// JSON inside <script>: no "</script>" or "<!--" can arise without "<".
std::string json_in_script(std::string_view json) {
  std::string out;
  for (const char c : json) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

// JavaScript inside <script>: inside strings and regular expressions, the only
// places where these can stand, the escaped forms mean the same.
std::string code_in_script(std::string code) {
  const auto replace_all = [&](std::string_view from, std::string_view to) {
    for (auto at = code.find(from); at != std::string::npos;
         at = code.find(from, at + to.size())) {
      code.replace(at, from.size(), to);
    }
  };
  replace_all("</script", "<\\/script");
  replace_all("</SCRIPT", "<\\/SCRIPT");
  replace_all("<!--", "\\x3c!--");
  return code;
}

std::string paragraph(const std::string& text, const char* name) {
  return std::string("<p class=\"") + name + "\">" + escaped(text) + "</p>\n";
}

class Renderer {
 public:
  void operator()(const Paragraph& block) {
    out_ += paragraph(block.text, "after");
  }

  void operator()(const Subheading& block) {
    out_ += "<h3>" + escaped(block.text) + "</h3>\n";
  }

  void operator()(const Bullets& block) {
    out_ += "<ul class=\"audit\">\n";
    for (const Bullets::Item& item : block.items) {
      out_ += "<li><span class=\"label " + escaped(item.label) + "\">" +
              escaped(item.label) + "</span><span>" + escaped(item.text) +
              "</span></li>\n";
    }
    out_ += "</ul>\n";
  }

  void operator()(const Table& block) {
    out_ += "<div class=\"scroll\"><table>\n<thead><tr>";
    for (std::size_t i = 0; i < block.heading.size(); ++i) {
      out_ += (i < block.text_columns ? "<th>" : "<th class=\"number\">") +
              escaped(block.heading[i]) + "</th>";
    }
    out_ += "</tr></thead>\n<tbody>\n";
    for (std::size_t i = 0; i < block.rows.size(); ++i) {
      out_ += "<tr>";
      for (std::size_t j = 0; j < block.rows[i].size(); ++j) {
        cell(block, i, j);
      }
      out_ += "</tr>\n";
    }
    out_ += "</tbody></table></div>\n";
  }

  void operator()(const Code& block) {
    out_ += "<pre>" + escaped(core::join(block.lines, "\n")) + "</pre>\n";
  }

  void operator()(const FigureBlock& block) {
    const Figure& figure = block.figure;
    out_ += "<figure>\n<h3>" + escaped(figure.title) + "</h3>\n";
    if (figure.panels.empty()) plot(figure);
    if (!figure.panels.empty()) {
      out_ += "<div class=\"panels columns-" + std::to_string(figure.columns) +
              "\">\n";
      for (const Figure& panel : figure.panels) {
        out_ += "<div class=\"panel\"><h4>" + escaped(panel.title) + "</h4>\n";
        plot(panel);
        out_ += "</div>\n";
      }
      out_ += "</div>\n";
    }
    out_ += "<figcaption><strong>Figure " + std::to_string(block.number) +
            ".</strong> " + escaped(figure.caption) +
            "</figcaption>\n</figure>\n";
  }

  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  // Where the script draws, and what it draws.
  void plot(const Figure& figure) {
    const std::string name = escaped(figure.name);
    out_ += "<div class=\"plot\" data-name=\"" + name + "\" data-spec=\"spec-" +
            name + "\"></div>\n<script type=\"application/json\" id=\"spec-" +
            name + "\">" + json_in_script(figure.spec) + "</script>\n";
  }

  void cell(const Table& table, std::size_t row, std::size_t column) {
    std::string text = escaped(table.rows[row][column]);
    if (column == 0 && row < table.links.size() && !table.links[row].empty()) {
      text = "<a href=\"" + escaped(table.links[row]) + "\">" + text + "</a>";
    }
    if (column == 0 && row < table.colors.size()) {
      out_ += "<td class=\"arm\"><span class=\"swatch\" style=\"background:" +
              table.colors[row] + "\"></span>" + text + "</td>";
    } else if (column < table.text_columns) {
      out_ += "<td>" + text + "</td>";
    } else {
      out_ += "<td class=\"number\">" + text + "</td>";
    }
  }

  std::string out_;
};

}  // namespace

std::string render_html(const Document& document, const std::string& bundle) {
  std::string text =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n"
      // An empty icon, so that no browser asks for one.
      "<link rel=\"icon\" href=\"data:,\">\n<title>" +
      escaped(document.title) + "</title>\n<style>" + kReportStyle +
      "</style>\n</head>\n<body>\n<main>\n<h1>" + escaped(document.title) +
      "</h1>\n" + paragraph(document.question, "question") +
      "<div class=\"verdict\">\n" +
      paragraph(document.verdict.sentence, "sentence");
  for (const std::string& remark : document.verdict.remarks) {
    text += paragraph(remark, "remark");
  }
  text += "</div>\n";
  for (const Section& section : document.sections) {
    text += "<section>\n<h2>" + escaped(section.title) + "</h2>\n";
    Renderer renderer;
    for (const Block& block : section.blocks) std::visit(renderer, block);
    text += renderer.take() + "</section>\n";
  }
  // Modules keep the bundle's names out of the page's and run after parsing.
  text +=
      "<noscript><p>The figures need JavaScript; all numbers are in the "
      "tables.</p></noscript>\n</main>\n<script type=\"module\">" +
      code_in_script(bundle) + "</script>\n<script type=\"module\">" +
      kReportScript + "</script>\n</body>\n</html>\n";
  return text;
}

}  // namespace muonlab::study::detail

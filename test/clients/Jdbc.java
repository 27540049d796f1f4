import java.io.StringReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.Properties;
import org.postgresql.PGConnection;

/** The JDBC driver through the router: server-prepared statements, batches, fetch size, savepoints, metadata, COPY, cancel, errors. */
public class Jdbc {
  static void check(boolean holds, String what) {
    if (!holds) throw new AssertionError(what);
  }

  public static void main(String[] args) throws Exception {
    Properties p = new Properties();
    p.setProperty("user", args[1]);
    p.setProperty("password", args[2]);
    p.setProperty("prepareThreshold", "2");
    p.setProperty("reWriteBatchedInserts", "true");
    try (Connection c = DriverManager.getConnection(args[0], p); Statement s = c.createStatement()) {
      check(!c.isReadOnly() && !s.execute("CREATE TABLE books_jdbc (id serial PRIMARY KEY, title text UNIQUE NOT NULL)"), "created");
      try (PreparedStatement insert = c.prepareStatement("INSERT INTO books_jdbc (title) VALUES (?)")) {
        for (int i = 0; i < 500; i++) {
          insert.setString(1, "book " + i);
          insert.addBatch();
        }
        check(insert.executeBatch().length == 500, "batch");
      }
      try (PreparedStatement one = c.prepareStatement("SELECT title FROM books_jdbc WHERE title = ?")) {
        check(one.getMetaData().getColumnCount() == 1, "described");
        for (int i = 0; i < 50; i++) {
          one.setString(1, "book " + i);
          try (ResultSet r = one.executeQuery()) {
            check(r.next() && r.getString(1).equals("book " + i), "server-prepared read " + i);
          }
        }
      }
      c.setAutoCommit(false);
      s.setFetchSize(7);
      int rows = 0;
      try (ResultSet r = s.executeQuery("SELECT title FROM books_jdbc ORDER BY id")) {
        while (r.next()) rows++;
      }
      check(rows == 500, "fetch size");
      s.setFetchSize(0);
      s.executeUpdate("INSERT INTO books_jdbc (title) VALUES ('kept')");
      Savepoint before = c.setSavepoint();
      try {
        s.executeUpdate("INSERT INTO books_jdbc (title) VALUES ('book 1')");
        check(false, "a duplicate went in");
      } catch (SQLException e) {
        check(e.getSQLState().equals("23505"), e.toString());
      }
      c.rollback(before);
      c.commit();
      c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
      c.setReadOnly(true);
      try (ResultSet r = s.executeQuery("SHOW transaction_isolation")) {
        check(r.next() && r.getString(1).equals("serializable"), "isolation");
      }
      c.commit();
      c.setReadOnly(false);
      c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
      c.setAutoCommit(true);
      long copied = c.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY books_jdbc (title) FROM STDIN", new StringReader("a\nb\n"));
      check(copied == 2, "copy");
      try (ResultSet r = s.executeQuery("SELECT count(*) FROM books_jdbc")) {
        check(r.next() && r.getInt(1) == 503, "read after write");
      }
      try (ResultSet tables = c.getMetaData().getColumns(null, "public", "books_jdbc", "%")) {
        int columns = 0;
        while (tables.next()) columns++;
        check(columns == 2, "metadata");
      }
      s.setQueryTimeout(1);
      try {
        s.execute("SELECT pg_sleep(60)");
        check(false, "not cancelled");
      } catch (SQLException e) {
        check(e.getSQLState().equals("57014"), e.toString());
      }
      s.setQueryTimeout(0);
      s.execute("SELECT 1");
    }
    System.out.println("ok");
  }
}
